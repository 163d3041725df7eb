package webhook_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/webhook"
)

func secretOf(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n))
}

func TestSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	valid := webhook.Options{URL: "https://shop.example/orders", Secrets: []string{secret}, Timeout: time.Second, Now: time.Now}
	for _, tt := range []struct {
		name   string
		change func(*webhook.Options)
		text   string // "": it works
	}{
		{"all is well", func(*webhook.Options) {}, ""},
		{"a port, a path and a query", func(o *webhook.Options) { o.URL = "https://shop.example:8443/a?b=c" }, ""},
		{"http, allowed", func(o *webhook.Options) { o.URL, o.AllowHTTP = "http://shop.example", true }, ""},
		{"24 bytes", func(o *webhook.Options) { o.Secrets = []string{secretOf(24)} }, ""},
		{"64 bytes", func(o *webhook.Options) { o.Secrets = []string{secretOf(64)} }, ""},
		{"two secrets", func(o *webhook.Options) { o.Secrets = []string{secret, secret2} }, ""},
		{"networks", func(o *webhook.Options) { o.AllowCIDRs = []string{"10.0.0.0/8", "fd00::/8"} }, ""},

		{"no URL", func(o *webhook.Options) { o.URL = "" }, "webhook.url is empty"},
		{"no URL at all", func(o *webhook.Options) { o.URL = "https://a b/%zz" }, "webhook.url is not a URL"},
		{"http", func(o *webhook.Options) { o.URL = "http://shop.example" }, "plain http"},
		{"another scheme", func(o *webhook.Options) { o.URL = "ftp://shop.example" }, `"ftp" is not https`},
		{"a path alone", func(o *webhook.Options) { o.URL = "/orders" }, "is not https"},
		{"no host", func(o *webhook.Options) { o.URL = "https:///orders" }, "names no host"},
		{"a password", func(o *webhook.Options) { o.URL = "https://u:hunter2@shop.example" }, "user and password are not sent"},
		{"a fragment", func(o *webhook.Options) { o.URL = "https://shop.example/#x" }, "fragment"},
		{"port 0", func(o *webhook.Options) { o.URL = "https://shop.example:0/" }, `"0" is not a port`},
		{"port 99999", func(o *webhook.Options) { o.URL = "https://shop.example:99999/" }, `"99999" is not a port`},
		{"no secret", func(o *webhook.Options) { o.Secrets = nil }, "names no secret"},
		{"an empty secret", func(o *webhook.Options) { o.Secrets = []string{"whsec_"} }, "secret 1 has 0 bytes"},
		{"23 bytes", func(o *webhook.Options) { o.Secrets = []string{secret, secretOf(23)} }, "secret 2 has 23 bytes"},
		{"65 bytes", func(o *webhook.Options) { o.Secrets = []string{secretOf(65)} }, "secret 1 has 65 bytes"},
		{"no prefix", func(o *webhook.Options) { o.Secrets = []string{"hunter2"} }, "does not begin with whsec_"},
		{"no base64", func(o *webhook.Options) { o.Secrets = []string{"whsec_hunter2"} }, "is not base64"},
		{"no network", func(o *webhook.Options) { o.AllowCIDRs = []string{"10.0.0.1"} }, `"10.0.0.1" is not a network`},
		{"no timeout", func(o *webhook.Options) { o.Timeout = 0 }, "Options.Timeout is required"},
		{"no clock", func(o *webhook.Options) { o.Now = nil }, "Options.Now is required"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := valid
			tt.change(&o)
			_, err := webhook.New(o)
			if tt.text == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("New: %v, want %q", err, tt.text)
			}
			var usage *webhook.UsageError
			if errors.As(err, &usage) && (usage.ExitCode() != 2 || usage.Hint() == "") {
				t.Errorf("exit %d, hint %q", usage.ExitCode(), usage.Hint())
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}
