//! Rows of JSON into the columns of a Parquet file and back: a table names each column, its type, and where in a row its
//! value stands.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value};

use crate::time::UnixNanos;

/// Rows of one group: as many are held in memory.
const GROUP_ROWS: usize = 65_536;

/// The type of a column; every value may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// True or false.
    Bool,
    /// Unsigned, 32 bit.
    U32,
    /// Unsigned, 64 bit.
    U64,
    /// Floating point, 64 bit.
    F64,
    /// A moment in UTC, in nanoseconds; a number of them in the row, or RFC 3339.
    Time,
    /// The same in microseconds, which every reader knows.
    Micros,
    /// Several texts.
    Texts,
    /// Several unsigned numbers of 32 bit.
    U32s,
    /// Several moments.
    Times,
    /// Texts by name, in order.
    Fields,
}

/// A column: its name, its type, and the keys that lead to its value, with `/` between them. A number is a place in an
/// array; behind `/*/` stands the place in each of the arrays of an array.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Where.
    pub path: &'static str,
}

/// A column whose value stands under another name in the row.
#[must_use]
pub const fn at(name: &'static str, kind: Kind, path: &'static str) -> Column {
    Column { name, kind, path }
}

/// A column with the name that its value has in the row.
#[must_use]
pub const fn named(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, path: name }
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        // What the output said, as it said it.
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

impl Kind {
    const fn physical(self) -> Physical {
        match self {
            Self::Text | Self::Texts | Self::Fields => Physical::BYTE_ARRAY,
            Self::Bool => Physical::BOOLEAN,
            Self::U32 | Self::U32s => Physical::INT32,
            Self::U64 | Self::Time | Self::Micros | Self::Times => Physical::INT64,
            Self::F64 => Physical::DOUBLE,
        }
    }

    fn logical(self) -> Option<LogicalType> {
        match self {
            Self::Text | Self::Texts | Self::Fields => Some(LogicalType::String),
            Self::U32 | Self::U32s => Some(LogicalType::integer(32, false)),
            Self::U64 => Some(LogicalType::integer(64, false)),
            Self::Time | Self::Times => Some(LogicalType::timestamp(true, TimeUnit::NANOS)),
            Self::Micros => Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            Self::Bool | Self::F64 => None,
        }
    }

    const fn is_several(self) -> bool {
        matches!(self, Self::Texts | Self::U32s | Self::Times)
    }

    fn leaf(self, name: &str, repetition: Repetition) -> Result<TypePtr, ParquetError> {
        let leaf = Type::primitive_type_builder(name, self.physical())
            .with_repetition(repetition)
            .with_logical_type(self.logical());
        leaf.build().map(Arc::new)
    }
}

/// A list and a map as the format describes them (LogicalTypes.md).
fn column_type(column: &Column) -> Result<TypePtr, ParquetError> {
    let (inner, logical) = match column.kind {
        Kind::Fields => {
            let fields = vec![
                Kind::Text.leaf("key", Repetition::REQUIRED)?,
                Kind::Text.leaf("value", Repetition::REQUIRED)?,
            ];
            (Type::group_type_builder("key_value").with_fields(fields), LogicalType::Map)
        }
        kind if kind.is_several() => {
            let fields = vec![kind.leaf("element", Repetition::REQUIRED)?];
            (Type::group_type_builder("list").with_fields(fields), LogicalType::List)
        }
        kind => return kind.leaf(column.name, Repetition::OPTIONAL),
    };
    let inner = Arc::new(inner.with_repetition(Repetition::REPEATED).build()?);
    let outer = Type::group_type_builder(column.name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(logical))
        .with_fields(vec![inner]);
    outer.build().map(Arc::new)
}

/// Writes rows, a group of them at a time.
pub struct TableWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: &'static [Column],
    rows: Vec<Value>,
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a table of that name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: W, name: &str, columns: &'static [Column]) -> io::Result<Self> {
        let fields = columns.iter().map(column_type).collect::<Result<Vec<TypePtr>, ParquetError>>();
        let schema = fields.and_then(|fields| Type::group_type_builder(name).with_fields(fields).build());
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("rdpwhy ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let file = schema
            .and_then(|schema| SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)))
            .map_err(failed)?;
        Ok(Self { file, columns, rows: Vec::new() })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When a group that is full cannot be written.
    pub fn push(&mut self, row: Value) -> io::Result<()> {
        self.rows.push(row);
        if self.rows.len() >= GROUP_ROWS { self.group() } else { Ok(()) }
    }

    fn group(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.file.next_row_group().map_err(failed)?;
        for column in self.columns {
            write_column(&mut group, column, &rows).map_err(failed)?;
        }
        group.close().map(|_| ()).map_err(failed)
    }

    /// Writes what is left, and the end of the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.rows.is_empty() {
            self.group()?;
        }
        self.file.close().map(|_| ()).map_err(failed)
    }
}

/// Values of one column with their levels: 0 for what is absent; of lists 1 for an empty one.
struct Levels<T> {
    values: Vec<T>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl<T> Levels<T> {
    fn of<'r>(rows: &'r [Value], kind: Kind, read: impl Fn(&'r Value) -> Option<Vec<T>>) -> Self {
        let mut levels = Self { values: Vec::new(), definition: Vec::new(), repetition: Vec::new() };
        let there = if kind.is_several() || kind == Kind::Fields { 2 } else { 1 };
        for row in rows {
            match read(row) {
                None => levels.absent(0),
                Some(values) if values.is_empty() => levels.absent(there - 1),
                Some(values) => {
                    let repeated = std::iter::once(0).chain(std::iter::repeat(1)).take(values.len());
                    levels.repetition.extend(repeated);
                    levels.definition.extend(std::iter::repeat_n(there, values.len()));
                    levels.values.extend(values);
                }
            }
        }
        levels
    }

    fn absent(&mut self, definition: i16) {
        self.definition.push(definition);
        self.repetition.push(0);
    }
}

type Group<'a, W> = SerializedRowGroupWriter<'a, W>;

fn write_column<W: Write + Send>(
    group: &mut Group<'_, W>,
    column: &Column,
    rows: &[Value],
) -> Result<(), ParquetError> {
    match column.kind {
        Kind::Text | Kind::Texts => write_values::<W, ByteArrayType>(group, column, rows, bytes),
        Kind::Bool => write_values::<W, BoolType>(group, column, rows, Value::as_bool),
        Kind::U32 | Kind::U32s => write_values::<W, Int32Type>(group, column, rows, word),
        Kind::U64 => {
            let number = |value: &Value| value.as_u64().map(u64::cast_signed);
            write_values::<W, Int64Type>(group, column, rows, number)
        }
        Kind::Time | Kind::Times => write_values::<W, Int64Type>(group, column, rows, moment),
        Kind::Micros => {
            let micros = |value: &Value| moment(value).map(|ns| ns.div_euclid(1_000));
            write_values::<W, Int64Type>(group, column, rows, micros)
        }
        Kind::F64 => write_values::<W, DoubleType>(group, column, rows, Value::as_f64),
        Kind::Fields => write_fields(group, column, rows),
    }
}

fn write_values<W: Write + Send, D: DataType>(
    group: &mut Group<'_, W>,
    column: &Column,
    rows: &[Value],
    read: impl Fn(&Value) -> Option<D::T>,
) -> Result<(), ParquetError> {
    let levels = Levels::of(rows, column.kind, |row| each(row, column, &read));
    write_leaf::<W, D>(group, column.kind, levels)
}

/// The names, and then the values.
fn write_fields<W: Write + Send>(
    group: &mut Group<'_, W>,
    column: &Column,
    rows: &[Value],
) -> Result<(), ParquetError> {
    let fields = |row| of_path(row, column.path)?.as_object();
    let names =
        Levels::of(rows, column.kind, |row| Some(fields(row)?.keys().map(|name| text(name)).collect()));
    write_leaf::<W, ByteArrayType>(group, column.kind, names)?;
    let value = |value: &Value| bytes(value).unwrap_or_else(|| text(&value.to_string()));
    let values = Levels::of(rows, column.kind, |row| Some(fields(row)?.values().map(value).collect()));
    write_leaf::<W, ByteArrayType>(group, column.kind, values)
}

fn write_leaf<W: Write + Send, D: DataType>(
    group: &mut Group<'_, W>,
    kind: Kind,
    levels: Levels<D::T>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("a column more than the schema has".to_owned());
    let mut writer = group.next_column()?.ok_or_else(missing)?;
    let several = kind.is_several() || kind == Kind::Fields;
    let repetition = several.then_some(levels.repetition.as_slice());
    writer.typed::<D>().write_batch(&levels.values, Some(&levels.definition), repetition)?;
    writer.close()
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}

fn bytes(value: &Value) -> Option<ByteArray> {
    value.as_str().map(text)
}

fn word(value: &Value) -> Option<i32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).map(u32::cast_signed)
}

fn moment(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| UnixNanos::parse(value.as_str()?).map(|at| at.0))
}

/// The values of a column in a row: one, or those of a list. What is of another type is absent.
fn each<T>(row: &Value, column: &Column, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    if !column.kind.is_several() {
        return of_path(row, column.path).and_then(read).map(|value| vec![value]);
    }
    let (path, inner) = column.path.split_once("/*/").unwrap_or((column.path, ""));
    let item = |item| read(if inner.is_empty() { item } else { of_path(item, inner)? });
    of_path(row, path)?.as_array()?.iter().map(item).collect()
}

fn of_path<'v>(row: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('/').try_fold(row, |value, key| match value {
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        other => other.get(key),
    })
}

/// Reads all rows of a table, one after the other, into `take`.
///
/// # Errors
/// When the file is no such table, or `take` refuses a row.
pub fn read<R: ChunkReader + 'static>(
    file: R,
    columns: &'static [Column],
    mut take: impl FnMut(Value) -> Result<(), String>,
) -> Result<(), String> {
    let reader = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
    let held: Vec<&str> =
        reader.metadata().file_metadata().schema().get_fields().iter().map(|f| f.name()).collect();
    if let Some(missing) = columns.iter().find(|column| !held.contains(&column.name)) {
        return Err(format!("no column `{}`", missing.name));
    }
    for row in reader.get_row_iter(None).map_err(|error| error.to_string())? {
        take(row_of(&row.map_err(|error| error.to_string())?, columns))?;
    }
    Ok(())
}

fn row_of(row: &Row, columns: &[Column]) -> Value {
    let mut whole = Value::Object(Map::new());
    for (name, field) in row.get_column_iter() {
        let Some(column) = columns.iter().find(|column| column.name == name) else { continue };
        match column.path.split_once("/*/") {
            None => {
                if let Some(value) = value_of(field) {
                    put(&mut whole, column.path, value);
                }
            }
            Some((path, inner)) => {
                let Some(Value::Array(items)) = value_of(field) else { continue };
                if items.is_empty() {
                    put(&mut whole, path, Value::Array(Vec::new()));
                }
                for (index, item) in items.into_iter().enumerate() {
                    put(&mut whole, &format!("{path}/{index}/{inner}"), item);
                }
            }
        }
    }
    whole
}

fn value_of(field: &Field) -> Option<Value> {
    Some(match field {
        Field::Bool(value) => Value::from(*value),
        Field::Int(value) => Value::from(*value),
        Field::UInt(value) => Value::from(*value),
        Field::Long(value) | Field::TimestampMicros(value) => Value::from(*value),
        Field::ULong(value) => Value::from(*value),
        Field::Double(value) => Value::from(*value),
        Field::Str(value) => Value::from(value.as_str()),
        Field::ListInternal(list) => list.elements().iter().filter_map(value_of).collect(),
        Field::MapInternal(map) => {
            let entry = |(key, value): &(Field, Field)| match key {
                Field::Str(key) => Some((key.clone(), value_of(value)?)),
                _ => None,
            };
            Value::Object(map.entries().iter().filter_map(entry).collect())
        }
        _ => return None,
    })
}

/// Puts the value where the path leads, and makes the objects and arrays on the way.
fn put(whole: &mut Value, path: &str, value: Value) {
    let mut at = whole;
    for key in path.split('/') {
        let index = key.parse::<usize>().ok();
        if at.is_null() {
            *at = if index.is_some() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        }
        let next = match (at, index) {
            (Value::Array(items), Some(index)) => {
                if items.len() <= index {
                    items.resize(index + 1, Value::Null);
                }
                items.get_mut(index)
            }
            (Value::Object(object), None) => Some(object.entry(key).or_insert(Value::Null)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return,
        }
    }
    // Whether an empty list came before its items or not, they stay.
    if at.is_null() {
        *at = value;
    }
}
