package produce

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// ordersURL is where orders are posted to.
func ordersURL(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("url %q: want the address of the API, such as http://127.0.0.1:8080", redacted(base))
	}
	if u.User != nil {
		return nil, usage("url %s: must not hold a password; use a token file", redacted(base))
	}
	if !strings.HasSuffix(u.Path, "/orders") {
		u = u.JoinPath("orders")
	}
	return u, nil
}

// redacted is an address without its password.
func redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" && strings.Contains(s, "@") {
		return "(not an address)"
	}
	return u.Redacted()
}

func requestHeader(h HTTP, runID string) (http.Header, error) {
	header := http.Header{}
	for _, line := range h.Headers {
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || !validName(name) || !validValue(value) {
			return nil, usage("header %q: want 'Name: value'", name)
		}
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "Content-Type", "Content-Length", "X-Request-Id", loadTestName:
			return nil, usage("header %s: is set by the run itself", name)
		}
		header.Add(name, value)
	}
	if h.Token != "" {
		if !validValue(h.Token) {
			return nil, usage("the token is not one line of text")
		}
		header.Set("Authorization", "Bearer "+h.Token)
	}
	header.Set(loadTestName, runID)
	return header, nil
}

func tlsConfig(caCert []byte) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(caCert) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(caCert) {
			return nil, usage("cacert: holds no certificate in PEM form")
		}
	}
	return c, nil
}

// probe asks once whether somebody answers: an API that is not there, or mute, is an error and not a run of failures. What
// it answers does not matter: it may want a token, or a proxy may stand before it.
func (a *apiTarget) probe(ctx context.Context, host string) error {
	patience := min(probeTimeout, a.timeout)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodOptions, a.url, nil)
	if err != nil {
		return fmt.Errorf("ask the order API: %w", err)
	}
	req.Header = a.header.Clone()
	resp, err := a.client.Do(req)
	if err == nil {
		return resp.Body.Close()
	}
	var wrapped *url.Error // its text repeats the address
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	const help = "is `orderctl serve` running there? --url names it"
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		err = fmt.Errorf("connect to the order API at %s: %w", host, err)
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("the order API at %s did not answer within %s (TCP connected): %w", host, patience, err)
	default:
		err = fmt.Errorf("ask the order API at %s: %w", host, err)
	}
	return &Error{Err: err, Code: 3, Help: help}
}

// validName reports whether s is a token of RFC 9110, which names of headers are.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// validValue reports whether s can be the value of a header: no line break, no control character.
func validValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
