package setup

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

const (
	leastSpace = 1 << 30
	mostAnswer = 4 << 10 // of a probe that is read
)

// Serve is where the admin listener of order intake should be.
type Serve struct {
	Addr   string // empty: nowhere
	Chosen bool   // somebody has set it: it should be there
}

// Dev is the data folder of `orderctl dev`.
type Dev struct {
	Dir    string                      // empty: there is none
	Holder func() (pid int, held bool) // the process that has it open
}

// serve asks order intake whether it is ready.
func (d *Doctor) serve(ctx context.Context) []Finding {
	at := dialable(d.opts.Serve.Addr)
	if at == "" {
		return []Finding{skip("serve.admin.addr is not set")}
	}
	code, body, err := get(ctx, "http://"+at+"/readyz?verbose")
	fix := "start 'orderctl serve', or set serve.admin.addr to where it is"
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) && !d.opts.Serve.Chosen:
		return []Finding{skip("nobody listens on %s: no 'orderctl serve' on this host", at)}
	case err != nil:
		return []Finding{fail(codeUnreachable, fix, "serve at %s does not answer: %v", at, inner(err))}
	case code == http.StatusOK:
		return []Finding{ok("ready at %s", at)}
	case code == http.StatusServiceUnavailable:
		return []Finding{fail(codeFailed, "see the log of 'orderctl serve'; GET http://"+at+"/health tells more", "serve at %s is not ready: %s", at, failing(body))}
	}
	return []Finding{fail(codeFailed, fix, "%s answers %d to /readyz: it is not 'orderctl serve'", at, code)}
}

// dialable turns the address that a server listens on into one that can be dialled.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func get(ctx context.Context, url string) (code int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	return res.StatusCode, string(raw), err
}

// failing are the checks that a verbose probe marks with a minus.
func failing(body string) string {
	var list []string
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "-"); ok {
			list = append(list, strings.TrimSpace(rest))
		}
	}
	if len(list) == 0 {
		return "it does not say why"
	}
	return few(list)
}

// inner is the innermost text of an error of net/http: the address stands in ours already.
func inner(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return op.Err
	}
	return err
}

// webhook opens a connection to where orders would be delivered, and sends nothing.
func (d *Doctor) webhook(ctx context.Context) []Finding {
	const fix = "check webhook.url"
	u, err := url.Parse(d.opts.Webhook)
	if err != nil || u.Hostname() == "" {
		return []Finding{fail(codeConfig, fix, "the url of the webhook is not one")}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	at := net.JoinHostPort(u.Hostname(), port)
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
	if err != nil {
		return []Finding{fail(codeUnreachable, fix, "%s cannot be reached: %v", at, inner(err))}
	}
	defer conn.Close()
	if u.Scheme != "https" {
		return []Finding{ok("%s reached, nothing was sent", at)}
	}
	secure := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		return []Finding{fail(codeUnreachable, fix+", and its certificate", "%s does not shake hands over TLS: %v", at, err)}
	}
	return []Finding{ok("%s reached over TLS, nothing was sent", at)}
}

// dev looks at the data folder of `orderctl dev`. One that is held is in use where a broker answers; else whoever holds it
// is in the way.
func (d *Doctor) dev(context.Context) []Finding {
	dir := d.opts.Dev.Dir
	pid, held := d.opts.Dev.Holder()
	answers := false
	for _, r := range d.facts.reached {
		answers = answers || r.Err == nil
	}
	var found []Finding
	if held && !answers {
		found = append(found, fail(codeFailed, fmt.Sprintf("stop pid %d: kill %d", pid, pid), "%s is held by pid %d, and no broker answers", dir, pid))
	}
	if s, err := d.opts.Disk(dir); err == nil && s.Free < leastSpace {
		found = append(found, fail(codeFailed, "make room on its disk; 'orderctl dev --reset' empties the folder", "%d MiB of the disk of %s are free", s.Free>>20, dir))
	}
	switch {
	case len(found) > 0:
		return found
	case held:
		return []Finding{ok("%s, in use by pid %d", dir, pid)}
	}
	return []Finding{ok("%s, not in use", dir)}
}
