// Package archive keeps raw records in cold storage as Parquet files, which other programs read as
// they are, for longer than the raw store holds them.
//
// A file is a slice of one source partition: some offsets in a row whose records were appended in
// one hour, and no more than [SliceRecords] of them. It lies at date=…/hour=…/ of that hour, in UTC. Its
// row groups are runs of the slice, each sorted by event time and ad. So whoever writes or reads
// holds one run in memory, of 16 MB, and while writing one file's compressed bytes, at most 128 MB: a process that archives
// clicks was seen to take 360 MB, with what the collector leaves and the raw store's caches.
//
// Where slices end is a function of the records, and so are names and bytes: who archives again, after
// a crash or at the same time, writes the same. A file counts once its manifest is there, which is
// written last, after the file was read back: then [Archiver.Source] says that the raw store may let go of it. Manifests
// follow one another without a gap; where records were gone before they were archived, the next one
// begins after the hole, which [Archive.Verify] names.
//
// [Reader] gives the records back in the order of their offsets, byte for byte as they came, of many sources in turn
// in bounded memory. Start reading at [Archiver.Source].
package archive
