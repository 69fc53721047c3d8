// Package kafka is the log on Kafka, and the only room that knows kafka-go.
//
// It promises what stream.Log and stream.Reader say, for any broker from
// version 3.1 on and for the embedded one. kafka-go finds the leaders and the
// coordinators, keeps the connections and negotiates; fetch and produce go over
// those connections in requests of our own, because the library's readers hand
// out the producer's time, aborted records and unchecked bytes, and allocate
// for each record.
//
// Start reading at [Open]. recordbatch.go is the format of a record batch, with
// nothing around it; reader.go says how far a reader runs ahead; append.go how
// messages become one request to each broker; member.go how processes share the
// partitions of a topic, and seat.go which of their commits count.
package kafka
