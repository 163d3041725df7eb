package config

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

const redacted = "(set)"

// Secret is a value that no output may show: whatever prints, logs or encodes it sees "(set)", or nothing where it is
// empty. Reveal gives the value to the one who needs it.
type Secret struct {
	value *string // a pointer, because fmt prints unexported fields without asking their methods
}

// NewSecret wraps s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: &s}
}

// Reveal returns the value itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Set reports whether there is a value.
func (s Secret) Set() bool { return s.value != nil }

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return redacted
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// Format implements fmt.Formatter, so that no verb gets past String.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// DSN is a data source name. It may hold a password (from the environment only); printed, it holds none.
type DSN struct{ secret Secret }

// NewDSN wraps s.
func NewDSN(s string) DSN { return DSN{secret: NewSecret(s)} }

// Reveal returns the data source name with its password.
func (d DSN) Reveal() string { return d.secret.Reveal() }

// HasPassword reports whether a password stands in it.
func (d DSN) HasPassword() bool { return d.String() != d.Reveal() }

// String returns the data source name, its password replaced by xxxxx.
func (d DSN) String() string { return redactDSN(d.Reveal()) }

// GoString implements fmt.GoStringer.
func (d DSN) GoString() string { return d.String() }

// Format implements fmt.Formatter.
func (d DSN) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(d.String())) }

// LogValue implements slog.LogValuer.
func (d DSN) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText implements encoding.TextMarshaler; JSON uses it too.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

var (
	dsnKeyword = regexp.MustCompile(`(?i)((?:^|[\s?&;])(?:ssl)?(?:password|passwd|pwd)\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&;]+)`)
	// host:5432/orders?application_name=a@b: the @ stands behind the host, so there is no user in front of it.
	portAndPath = regexp.MustCompile(`^[0-9]+[/?]`)
	dsnMySQL    = regexp.MustCompile(`^([^:/@?]*):(.+)(@[a-z]*\(|@/)`)
)

// redactDSN covers the three spellings in use: URL, keyword=value, and user:password@tcp(host)/name.
func redactDSN(s string) string {
	s = dsnKeyword.ReplaceAllString(s, "${1}xxxxx")
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		return scheme + "://" + redactUserinfo(rest)
	}
	return dsnMySQL.ReplaceAllString(s, "${1}:xxxxx${3}")
}

// redactUserinfo works on the text, because url.Parse refuses what a hurried operator types (an unescaped % or slash).
func redactUserinfo(rest string) string {
	end := strings.LastIndexByte(rest, '@')
	if end < 0 {
		return rest
	}
	user, password, ok := strings.Cut(rest[:end], ":")
	if !ok || password == "" || portAndPath.MatchString(password) {
		return rest
	}
	return user + ":xxxxx" + rest[end:]
}
