// Package webhook delivers orders to one downstream HTTP service, signed as Standard Webhooks asks. It says what each
// answer means for the order; when to try again is the worker's to decide. It follows no redirect, asks no proxy, and
// connects to no address inside the network but those it was allowed.
package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"commerce.internal/orderctl/internal/queue"
)

// Bounds of one delivery. The timeout of all of it is an option.
const (
	dialTimeout   = 3 * time.Second
	tlsTimeout    = 5 * time.Second
	headerTimeout = 10 * time.Second
	drainTimeout  = time.Second // for the body of an answer whose status is known
	maxBody       = 64 << 10    // of an answer that is read
	maxHeader     = 64 << 10
	maxIdle       = 64
)

// Options is what a client needs.
type Options struct {
	URL        string           // of the service
	Secrets    []string         // "whsec_" and 24 to 64 bytes in base64; the first is the newest, all of them sign
	Timeout    time.Duration    // of one delivery
	Now        func() time.Time // the time that is signed
	AllowCIDRs []string         // networks that are not public and allowed all the same
	AllowHTTP  bool             // plain http too
	Roots      *x509.CertPool   // nil: those of the system
}

// Client delivers to one service. It may be used by many goroutines.
type Client struct {
	url     string
	signers []*standardwebhooks.Webhook
	http    *http.Client
	timeout time.Duration
	now     func() time.Time
}

// New checks the options and builds a client. It connects to nothing.
func New(o Options) (*Client, error) {
	if o.Now == nil {
		return nil, errors.New("webhook: Options.Now is required")
	}
	if o.Timeout <= 0 {
		return nil, errors.New("webhook: Options.Timeout is required")
	}
	u, port, err := readURL(o.URL, o.AllowHTTP)
	if err != nil {
		return nil, err
	}
	signers, err := readSecrets(o.Secrets)
	if err != nil {
		return nil, err
	}
	guard, err := newGuard(port, o.AllowCIDRs)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: guard.Safe}
	return &Client{
		url: u, signers: signers, timeout: o.Timeout, now: o.Now,
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext: dialer.DialContext, TLSHandshakeTimeout: tlsTimeout, ResponseHeaderTimeout: headerTimeout,
				TLSClientConfig:    &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
				DisableCompression: true, MaxResponseHeaderBytes: maxHeader, MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdle,
				IdleConnTimeout: 90 * time.Second,
			},
		},
	}, nil
}

// Deliver posts an order as JSON. The id of the message is the same in every attempt, so the service can tell what it has
// already. nil: the service took it. Else a *queue.Failure.
func (c *Client) Deliver(ctx context.Context, id string, order []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := c.request(ctx, headerID(id), order)
	if err != nil {
		return &queue.Failure{Class: queue.ClassFatal, Code: "request", Message: err.Error()}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return noAnswer(err, connected.Load())
	}
	slow := time.AfterFunc(drainTimeout, cancel)
	defer slow.Stop()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody)) // the status is the answer; the body only explains it
	_ = resp.Body.Close()
	if f := judge(resp, body, c.now()); f != nil {
		return f
	}
	return nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) request(ctx context.Context, id string, order []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(order))
	if err != nil {
		return nil, err
	}
	now := c.now()
	signatures := make([]string, len(c.signers))
	for i, s := range c.signers {
		if signatures[i], err = s.Sign(id, now, order); err != nil {
			return nil, err
		}
	}
	req.Header.Set("Content-Type", queue.ContentJSON)
	req.Header.Set("User-Agent", "orderctl")
	req.Header.Set("Idempotency-Key", id)
	// Set would write Webhook-Id. Header names have no case, but people compare what they see with the specification.
	req.Header[standardwebhooks.HeaderWebhookID] = []string{id}
	req.Header[standardwebhooks.HeaderWebhookTimestamp] = []string{strconv.FormatInt(now.Unix(), 10)}
	req.Header[standardwebhooks.HeaderWebhookSignature] = []string{strings.Join(signatures, " ")}
	return req, nil
}

// headerID is a message id as a header can carry it; any other stands for itself by its hash.
func headerID(id string) string {
	if id != "" && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// redact keeps a token in the query of the URL out of error texts.
func redact(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err.Error()
	}
	return err.Error()
}
