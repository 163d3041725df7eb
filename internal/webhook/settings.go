package webhook

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"code.dny.dev/ssrf"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Bounds of a secret, in bytes.
const (
	minSecret, maxSecret = 24, 64
	secretPrefix         = "whsec_"
)

// UsageError is a setting that cannot work. It never shows a secret.
type UsageError struct{ Text, Help string }

// Error implements error.
func (e *UsageError) Error() string { return e.Text }

// ExitCode is that of wrong usage.
func (e *UsageError) ExitCode() int { return 2 }

// Hint says what to write instead.
func (e *UsageError) Hint() string { return e.Help }

func wrong(help, format string, args ...any) error {
	return &UsageError{Text: fmt.Sprintf(format, args...), Help: help}
}

// readURL checks the address of the service and returns the one port that may be dialled.
func readURL(raw string, allowHTTP bool) (string, uint16, error) {
	const help = "write webhook.url as https://host/path"
	if raw == "" {
		return "", 0, wrong(help, "webhook.url is empty")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", 0, wrong(help, "webhook.url is not a URL") // the error would show all of it
	}
	port := uint64(443)
	switch {
	case u.Scheme == "http" && !allowHTTP:
		return "", 0, wrong("write https://, or set webhook.allow_http", "webhook.url: plain http would show orders to the network")
	case u.Scheme == "http":
		port = 80
	case u.Scheme != "https":
		return "", 0, wrong(help, "webhook.url: scheme %q is not https", u.Scheme)
	}
	switch {
	case u.Hostname() == "":
		return "", 0, wrong(help, "webhook.url names no host")
	case u.User != nil:
		return "", 0, wrong("the service knows orderctl by the signature", "webhook.url: user and password are not sent")
	case u.Fragment != "":
		return "", 0, wrong(help, "webhook.url: a fragment is not sent")
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.ParseUint(p, 10, 16); err != nil || port == 0 {
			return "", 0, wrong(help, "webhook.url: %q is not a port", p)
		}
	}
	return u.String(), uint16(port), nil
}

// readSecrets checks what the library does not: it takes an empty secret, with which anybody could sign.
func readSecrets(secrets []string) ([]*standardwebhooks.Webhook, error) {
	const help = "a secret is whsec_ and 24 to 64 random bytes in base64; several, one a line, newest first"
	if len(secrets) == 0 {
		return nil, wrong(help, "webhook.secret_file names no secret")
	}
	signers := make([]*standardwebhooks.Webhook, len(secrets))
	for i, s := range secrets {
		text, found := strings.CutPrefix(s, secretPrefix)
		if !found {
			return nil, wrong(help, "webhook.secret_file: secret %d does not begin with %s", i+1, secretPrefix)
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, wrong(help, "webhook.secret_file: secret %d is not base64", i+1)
		}
		if len(key) < minSecret || len(key) > maxSecret {
			return nil, wrong(help, "webhook.secret_file: secret %d has %d bytes, not %d to %d", i+1, len(key), minSecret, maxSecret)
		}
		if signers[i], err = standardwebhooks.NewWebhookRaw(key); err != nil {
			return nil, wrong(help, "webhook.secret_file: secret %d cannot be used", i+1)
		}
	}
	return signers, nil
}

// newGuard judges the address that is connected to, after the name was resolved: a name says nothing about where it leads.
func newGuard(port uint16, cidrs []string) (*ssrf.Guardian, error) {
	var v4, v6 []netip.Prefix
	for _, c := range cidrs {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			return nil, wrong("write 10.20.0.0/16 or fd00:1::/64", "webhook.allow_cidrs: %q is not a network", c)
		}
		if p.Addr().Is4() {
			v4 = append(v4, p.Masked())
		} else {
			v6 = append(v6, p.Masked())
		}
	}
	return ssrf.New(ssrf.WithPorts(port), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)), nil
}
