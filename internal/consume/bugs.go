package consume

// acknowledge lets records be committed before they are done. Only seeded bugs do that, to show that their loss is seen.
func acknowledge(items ...*item) {
	for _, it := range items {
		c := it.claim
		c.mu.Lock()
		c.tracker.finish(it.rec.Offset)
		if next := c.tracker.lowest(); next > c.marked {
			c.marked = next
			c.Mark(next)
		}
		c.mu.Unlock()
	}
}
