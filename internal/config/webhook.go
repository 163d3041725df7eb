package config

import (
	"strings"
	"time"
)

// Webhook is the service that orders go to with consume.handler webhook.
type Webhook struct {
	URL        string        `key:"url" doc:"where orders are posted, https"`
	Secret     Secret        `key:"secret" secret:"secret_file" doc:"what signs them"`
	SecretFile string        `key:"secret_file" doc:"file with whsec_ secrets, newest first (or ORDERCTL_WEBHOOK_SECRET)"`
	Timeout    time.Duration `key:"timeout" min:"100ms" max:"15s" doc:"of one POST"`
	AllowCIDRs []string      `key:"allow_cidrs" doc:"networks it may be in beside the public one"`
	AllowHTTP  bool          `key:"allow_http" doc:"plain http too"`
}

// Secrets returns what signs, newest first: one a line, or apart by spaces.
func (w Webhook) Secrets() []string { return strings.Fields(w.Secret.Reveal()) }

func defaultWebhook() Webhook { return Webhook{Timeout: 15 * time.Second, AllowCIDRs: []string{}} }

func (c *Config) validateWebhook(r *rules) {
	r.between(c.Webhook.URL != "" || c.Consume.Handler != "webhook", "webhook.url", "consume.handler", "write https://host/path",
		"is empty, and consume.handler is webhook")
}
