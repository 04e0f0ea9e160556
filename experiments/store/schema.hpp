#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>
#include <vector>

/// The tables of the store and how older files become new ones.
namespace cosearch {

/// `PRAGMA application_id` of our files: "CoSe".
inline constexpr int kApplicationId = 0x436F5365;
/// `PRAGMA user_version` that this program writes.
inline constexpr int kSchemaVersion = 2;

/// What a file was found to be.
enum class FileKind { empty, ours };

/// Looks without changing anything. @throws StoreError 6 for other programs' databases and newer schemas, naming what
/// was found; SQLite::Exception when the file cannot be read.
[[nodiscard]] FileKind identify(SQLite::Database& database, const std::string& path);

/// Whether the file has columns for the routing of trained networks: from version 2 on.
[[nodiscard]] bool has_routing(SQLite::Database& database);

/// Brings an empty or older file to `kSchemaVersion` and gives it a column for every metric, in one transaction.
void migrate(SQLite::Database& database);

/// The metrics that the file has columns for, sorted: those of the registry, and those of single networks that
/// campaigns with several have brought.
[[nodiscard]] std::vector<std::string> metric_columns(SQLite::Database& database);

/// Gives the file columns for these metrics where it has none. Names are known to `find_metric`.
void add_metric_columns(SQLite::Database& database, const std::vector<std::string>& metrics);

}  // namespace cosearch
