package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/config"
)

const canary = "hunter2-canary"

func TestNoWayOfPrintingShowsASecret(t *testing.T) {
	t.Parallel()
	type holder struct {
		cfg    *config.Config
		plain  config.Config
		secret config.Secret
		dsn    config.DSN
	}
	dir := t.TempDir()
	in := config.Input{Environ: []string{
		"HOME=" + dir, "ORDERCTL_KAFKA_SASL_PASSWORD=" + canary, "ORDERCTL_KAFKA_SASL_OAUTH_CLIENT_SECRET=" + canary,
		"ORDERCTL_KAFKA_SASL_MECHANISM=PLAIN", "ORDERCTL_KAFKA_SASL_USERNAME=u", "ORDERCTL_KAFKA_TLS_ENABLED=true",
	}}
	l := must(t, in)
	if l.Config.Kafka.SASL.Password.Reveal() != canary {
		t.Fatal("the password did not arrive")
	}
	h := holder{l.Config, *l.Config, config.NewSecret(canary), config.NewDSN("postgres://u:" + canary + "@db/orders")}
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{h, &h, h.plain, h.cfg.Kafka, h.secret, h.dsn, []any{h.secret, h.dsn}} {
			fmt.Fprintf(&b, verb, v)
		}
	}
	log := slog.New(slog.NewJSONHandler(&b, nil))
	log.Info("x", slog.Any("config", h.cfg), slog.Any("secret", h.secret), slog.Any("dsn", h.dsn))
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", slog.Any("config", h.cfg), slog.Any("secret", h.secret), slog.Any("dsn", h.dsn))
	for _, v := range []any{h.cfg, h.secret, h.dsn} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(j)
	}
	for _, e := range l.Entries() {
		fmt.Fprintln(&b, e.Name, e.Value, e.Origin)
	}
	if got := b.String(); strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
		t.Errorf("a secret is in %s", got)
	}
	if e := entry(t, l, "kafka.sasl.password"); e.Value != "(set)" || e.Origin.String() != "env ORDERCTL_KAFKA_SASL_PASSWORD" {
		t.Errorf("shown as %q from %s", e.Value, e.Origin)
	}
	if e := entry(t, must(t, config.Input{Environ: []string{"HOME=" + dir}}), "kafka.sasl.password"); e.Value != "" {
		t.Errorf("no password is shown as %q", e.Value)
	}
}

func TestADSNIsShownWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"postgres://u:" + canary + "@db:5432/orders":            "postgres://u:xxxxx@db:5432/orders",
		"postgres://u:" + canary + "%ZZ@db/orders":              "postgres://u:xxxxx@db/orders",
		"postgres://u:p/" + canary + "@db/orders":               "postgres://u:xxxxx@db/orders",
		"postgres://db/orders?user=u&password=" + canary:        "postgres://db/orders?user=u&password=xxxxx",
		"host=db user=u password=" + canary + " dbname=o":       "host=db user=u password=xxxxx dbname=o",
		"host=db password = 'a " + canary + "' dbname=o":        "host=db password = xxxxx dbname=o",
		"host=db PASSWORD='" + canary:                           "host=db PASSWORD=xxxxx",
		"host=db sslpassword=" + canary:                         "host=db sslpassword=xxxxx",
		"u:" + canary + "@tcp(db:3306)/orders":                  "u:xxxxx@tcp(db:3306)/orders",
		"u:" + canary + "@/orders":                              "u:xxxxx@/orders",
		"postgres://u@db/orders":                                "postgres://u@db/orders",
		"postgres://db:5432/orders?application_name=a@b":        "postgres://db:5432/orders?application_name=a@b",
		"u@tcp(db)/orders":                                      "u@tcp(db)/orders",
		"file:/var/lib/orderctl/orders.db?_pragma=journal_mode": "file:/var/lib/orderctl/orders.db?_pragma=journal_mode",
		"orders.db": "orders.db",
		"":          "",
	} {
		d := config.NewDSN(in)
		if d.String() != want || d.Reveal() != in || d.HasPassword() != strings.Contains(want, "xxxxx") {
			t.Errorf("%q is shown as %q (password: %v), want %q", in, d, d.HasPassword(), want)
		}
	}
}

// The environment may hold a whole dsn with its password; sqlite, which has none, says so without showing it.
func TestADSNWithAPasswordFromTheEnvironmentIsTaken(t *testing.T) {
	t.Parallel()
	p := problems(t, config.Input{Environ: []string{"HOME=" + t.TempDir(), "ORDERCTL_STORE_DSN=postgres://u:" + canary + "@db/o"}})
	if len(p) != 1 || p[0].Error() != "store.dsn: sqlite has no password (env ORDERCTL_STORE_DSN)" {
		t.Errorf("%v", p)
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, open, empty := filepath.Join(dir, "secret"), filepath.Join(dir, "open"), filepath.Join(dir, "empty")
	for name, text := range map[string]string{path: canary + "\r\n", open: canary, empty: "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	file := func(secret string) string {
		return "kafka:\n  tls: {enabled: true}\n  sasl:\n    mechanism: PLAIN\n    username: u\n    password_file: " + secret + "\n"
	}
	l := must(t, input(t, file(path)))
	if got := l.Config.Kafka.SASL.Password.Reveal(); got != canary || len(l.Warnings) != 0 {
		t.Errorf("got %q, warnings %q", got, l.Warnings)
	}
	if e := entry(t, l, "kafka.sasl.password"); e.Value != "(set)" || e.Origin.Line != 6 {
		t.Errorf("shown as %q from %s", e.Value, e.Origin)
	}
	l = must(t, input(t, file(path), "ORDERCTL_KAFKA_SASL_PASSWORD=other"))
	if got := l.Config.Kafka.SASL.Password.Reveal(); got != "other" {
		t.Errorf("the environment did not beat the file: %q", got)
	}
	l = must(t, input(t, file(open)))
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "can be read by others (mode 0644); chmod 600 it") {
		t.Errorf("warnings %q", l.Warnings)
	}
	in := input(t, file(empty))
	if p := problems(t, in); !strings.HasPrefix(p[0].Error(), in.Path+":6: kafka.sasl.password_file: read "+empty+": the file is empty") {
		t.Errorf("%v", p)
	}
	if p := problems(t, input(t, file(filepath.Join(dir, "none")))); !strings.Contains(p[0].Error(), "no such file") {
		t.Errorf("%v", p)
	}
	if p := problems(t, input(t, "store: {password_file: "+path+"}\n")); !strings.Contains(p[0].Error(), "store.password_file: sqlite has no password") {
		t.Errorf("%v", p)
	}
}
