package consume

// Owns reports whether a partition is one of this process, now.
func (w *Worker) Owns(topic string, partition int32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.claims {
		if c.Topic() == topic && c.Partition() == partition {
			return true
		}
	}
	return false
}
