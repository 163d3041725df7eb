package config

import (
	"regexp"
	"time"
)

// topicName is what Kafka allows; the group is a part of topic names, so it obeys the same rule.
var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// longestSuffix is what the longest of the group's topic names adds to "<topic>.<group>".
const longestSuffix = len(".retry.") + 12

func (c *Config) validateStore(r *rules) {
	s := c.Store
	r.between(s.Driver == "sqlite" || s.DSN.Reveal() != "", "store.dsn", "store.driver", "write postgres://user@host:5432/orders, or user@tcp(host:3306)/orders",
		"is empty, and store.driver is %s", s.Driver)
	r.must(s.Driver != "sqlite" || !s.DSN.HasPassword(), "store.dsn", "", "sqlite has no password")
	r.must(s.Driver != "sqlite" || !s.Password.Set(), "store.password_file", "", "sqlite has no password")
}

func (c *Config) validateConsume(r *rules) {
	w := c.Consume
	r.must(topicName.MatchString(w.Topic) && w.Topic != "." && w.Topic != "..", "consume.topic", "",
		"%q is not a topic name: letters, digits, dot, underscore, hyphen", shorten(w.Topic))
	r.must(topicName.MatchString(w.Group), "consume.group", "",
		"%q is not usable: it is a part of topic names, so letters, digits, dot, underscore, hyphen", shorten(w.Group))
	r.between(len(w.Topic)+len(w.Group)+longestSuffix < 249, "consume.group", "consume.topic", "",
		"topic and group are too long together: Kafka allows topic names of 249 characters")
	r.must(w.InstanceID == "" || topicName.MatchString(w.InstanceID), "consume.instance_id", "",
		"%q is not an instance id: letters, digits, dot, underscore, hyphen", shorten(w.InstanceID))
	r.between(w.Order == "key" || w.OnDead != "hold", "consume.on_dead", "consume.order", "hold needs order key",
		"hold keeps the order of each order's messages, and consume.order is %s", w.Order)
	r.between(w.EffectFile == "" || w.Handler == "sql", "consume.effect_file", "consume.handler", "", "is SQL, and consume.handler is %s", w.Handler)
	r.between(w.Local.Base <= w.Local.Cap, "consume.local.base", "consume.local.cap", "",
		"%s is above consume.local.cap (%s)", FormatDuration(w.Local.Base), FormatDuration(w.Local.Cap))
	r.between(w.Breaker.ProbeMin <= w.Breaker.ProbeMax, "consume.breaker.probe_min", "consume.breaker.probe_max", "",
		"%s is above consume.breaker.probe_max (%s)", FormatDuration(w.Breaker.ProbeMin), FormatDuration(w.Breaker.ProbeMax))
	r.must(w.Breaker.Ratio > 0, "consume.breaker.ratio", "write 0.5", "must be above 0")
	c.listener(r, "consume.admin.addr", w.Admin.Addr)
	validateTiers(r, w.Retry)
}

// validateTiers holds the delays to what topic names can say and readers expect: whole milliseconds, each longer than
// the one before.
func validateTiers(r *rules, tiers []time.Duration) {
	last := time.Duration(0)
	for _, d := range tiers {
		r.must(d > 0, "consume.retry", "none: no tiers", "a delay of 0s is no delay")
		r.must(d%time.Millisecond == 0, "consume.retry", "", "%s is not a whole number of milliseconds", d)
		r.must(d > last, "consume.retry", "write 5s,1m,10m", "%s does not come after %s: delays ascend", FormatDuration(d), FormatDuration(last))
		r.must(d <= 24*time.Hour, "consume.retry", "", "%s is above 24h", FormatDuration(d))
		last = d
	}
	r.must(len(tiers) <= 8, "consume.retry", "", "%d tiers are more than 8", len(tiers))
}
