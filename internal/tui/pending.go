package tui

import (
	"cmp"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// NewPending makes of the sums of the store what the dashboard shows of them.
func NewPending(at time.Time, sums []queue.PendingSum) Pending {
	p := Pending{At: at, Tiers: map[string]TierCount{}, Classes: []ClassCount{}}
	dead := map[queue.Class]ClassCount{}
	for _, s := range sums {
		switch s.State {
		case queue.StateRetry, queue.StateParked:
			if s.State == queue.StateRetry {
				p.Retry += s.Count
			} else {
				p.Parked += s.Count
			}
			p.NextDue = earlier(p.NextDue, s.NextDue)
			if s.Topic != "" {
				t := p.Tiers[s.Topic]
				p.Tiers[s.Topic] = TierCount{Count: t.Count + s.Count, NextDue: earlier(t.NextDue, s.NextDue)}
			}
		case queue.StateDead:
			p.Dead += s.Count
			c := dead[s.Class]
			c.Class, c.Count = string(s.Class), c.Count+s.Count
			if !s.Newest.Before(c.Newest) {
				c.Newest = s.Newest
			}
			c.OrderID, c.Attempts = cmp.Or(s.OrderID, c.OrderID), max(s.Attempts, c.Attempts)
			dead[s.Class] = c
		}
	}
	for _, c := range dead {
		p.Classes = append(p.Classes, c)
	}
	slices.SortFunc(p.Classes, func(a, b ClassCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class))
	})
	return p
}

// earlier is the earlier of two times; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
