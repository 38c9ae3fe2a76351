//! Fuzz targets: one function for every reader and decoder.
