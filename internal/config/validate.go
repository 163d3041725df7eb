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
	c.validateLag(r)
	return errors.Join(r.errs...)
}

// rules collects broken ones.
type rules struct{ errs problems }

// must records a problem of key where holds is false.
func (r *rules) must(holds bool, key, fix, format string, args ...any) {
	if !holds {
		r.errs.add(&Problem{Key: key, Text: key + ": " + fmt.Sprintf(format, args...), Fix: fix})
	}
}

// validate runs the rules and tells for each broken one where its value came from.
func (b *builder) validate(c *Config) {
	err := c.Validate()
	if err == nil {
		return
	}
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // Validate joins, it does not wrap
	if !ok {
		b.errs = append(b.errs, err)
		return
	}
	for _, e := range joined.Unwrap() {
		var p *Problem
		if errors.As(e, &p) {
			p.From = b.origins[p.Key]
			b.errs.add(p)
		}
	}
}
