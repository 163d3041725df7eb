package config

import (
	"errors"
	"fmt"
)

// Validate checks what no single value can tell: the rules between keys. Load has called it already.
func (c *Config) Validate() error {
	r := &rules{}
	c.validateKafka(r)
	c.validateTopics(r)
	c.validateServe(r)
	c.validateStore(r)
	c.validateConsume(r)
	c.validateWebhook(r)
	c.validateLag(r)
	var all problems
	for _, p := range r.broken {
		all.add(p)
	}
	return all.join()
}

// rules collects broken ones.
type rules struct{ broken []*Problem }

// must records a problem of key where holds is false.
func (r *rules) must(holds bool, key, fix, format string, args ...any) {
	if !holds {
		r.broken = append(r.broken, &Problem{Key: key, Text: key + ": " + fmt.Sprintf(format, args...), Fix: fix})
	}
}

// between records a broken rule between two keys. The first is the one to blame, unless only the second was set.
func (r *rules) between(holds bool, key, other, fix, format string, args ...any) {
	r.must(holds, key, fix, format, args...)
	if !holds {
		r.broken[len(r.broken)-1].other = other
	}
}

// validate runs the rules and tells for each broken one where its value came from.
func (b *builder) validate(c *Config) {
	err := c.Validate()
	if err == nil {
		return
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		b.errs = append(b.errs, err)
		return
	}
	for _, e := range joined.Unwrap() {
		var p *Problem
		if errors.As(e, &p) {
			p.From = b.origins[p.Key]
			if p.From.Kind == "" {
				p.From = b.origins[p.other]
			}
			b.errs.add(p)
		}
	}
}
