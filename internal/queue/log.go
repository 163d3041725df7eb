package queue

// Log is what is remembered of a partition that a group reads: which log its commit belongs to.
type Log struct {
	TopicID  string // "": Kafka does not say
	HaltedAt int64  // the commit at which it is read no further; below 0: it is read
}
