package config

import (
	"net/url"
	"regexp"
)

var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

func (c *Config) validateServe(r *rules) {
	s := c.Serve
	c.listener(r, "serve.addr", s.Addr)
	c.listener(r, "serve.admin.addr", s.Admin.Addr)
	r.must(s.Addr != s.Admin.Addr || portIsFree(s.Addr), "serve.admin.addr", "", "%s is the address of the API already", s.Admin.Addr)
	if s.ProblemBase != "" {
		u, err := url.Parse(s.ProblemBase)
		r.must(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil,
			"serve.problem_base", "", "must be an http or https URL without a user")
	}
	t := s.Timeouts
	r.between(t.ReadHeader <= t.Read, "serve.timeouts.read_header", "serve.timeouts.read", "",
		"%s is above serve.timeouts.read (%s)", FormatDuration(t.ReadHeader), FormatDuration(t.Read))
	r.between(t.Publish < t.Write, "serve.timeouts.publish", "serve.timeouts.write", "the client would see a cut connection, not 504",
		"%s is not below serve.timeouts.write (%s)", FormatDuration(t.Publish), FormatDuration(t.Write))
	r.between(t.Enqueue < t.Publish, "serve.timeouts.enqueue", "serve.timeouts.publish", "",
		"%s is not below serve.timeouts.publish (%s)", FormatDuration(t.Enqueue), FormatDuration(t.Publish))
	r.between(c.Producer.AckTimeout < t.Publish, "producer.ack_timeout", "serve.timeouts.publish", "every slow write would be an unknown outcome",
		"%s is not below serve.timeouts.publish (%s)", FormatDuration(c.Producer.AckTimeout), FormatDuration(t.Publish))
	c.validateLimits(r)
	r.must(currencyCode.MatchString(c.Order.Currency), "order.currency", "write CNY", "%q is not an ISO 4217 code", c.Order.Currency)
}

func (c *Config) validateLimits(r *rules) {
	l := c.Serve.Limits
	r.between(l.Body <= l.BatchBody, "serve.limits.body", "serve.limits.batch_body", "", "%s is above serve.limits.batch_body (%s)", l.Body, l.BatchBody)
	r.between(l.BatchBody <= l.InFlightBytes, "serve.limits.batch_body", "serve.limits.in_flight_bytes", "",
		"%s is above serve.limits.in_flight_bytes (%s): no such batch could be admitted", l.BatchBody, l.InFlightBytes)
	r.between(l.Batch <= l.InFlight, "serve.limits.batch", "serve.limits.in_flight", "",
		"%d is above serve.limits.in_flight (%d): no such batch could be admitted", l.Batch, l.InFlight)
	r.between(l.PerPartition <= c.Producer.ChannelBuffer/2, "serve.limits.per_partition", "producer.channel_buffer",
		"one hung broker would block the orders of healthy ones",
		"%d is above half of producer.channel_buffer (%d)", l.PerPartition, c.Producer.ChannelBuffer)
	r.between(l.Body <= c.Producer.MaxMessageBytes, "serve.limits.body", "producer.max_message_bytes", "",
		"%s is above producer.max_message_bytes (%s)", l.Body, c.Producer.MaxMessageBytes)
	r.between(c.Producer.MaxMessageBytes <= c.Producer.MaxBufferBytes, "producer.max_message_bytes", "producer.max_buffer_bytes", "",
		"%s is above producer.max_buffer_bytes (%s)", c.Producer.MaxMessageBytes, c.Producer.MaxBufferBytes)
}

func (*Config) listener(r *rules, key, addr string) {
	if err := checkAddress(addr, true); err != nil {
		r.must(false, key, "", "%v", err)
	}
}

// portIsFree tells whether the kernel chooses the port, so that two listeners may spell the same address.
func portIsFree(addr string) bool { return len(addr) >= 2 && addr[len(addr)-2:] == ":0" }
