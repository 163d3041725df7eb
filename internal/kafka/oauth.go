package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// OAuthOptions says where tokens come from: the client credentials grant of OAuth 2.
type OAuthOptions struct {
	TokenURL     string
	ClientID     string
	ClientSecret string
	Scope        string
}

// tokenTimeout bounds one request for a token. It is below DialTimeout: a connection waits for it.
const tokenTimeout = 2 * time.Second

// errToken says that no token could be had.
var errToken = errors.New("get OAuth token")

// tokenSource keeps one token and gets the next when 80 % of its life are over. Where that fails the old one serves until
// it ends: a token service that is down for a while cuts no connection.
type tokenSource struct {
	opts   OAuthOptions
	client *http.Client
	now    func() time.Time
	log    *slog.Logger

	mu      sync.Mutex
	token   string
	refresh time.Time // from then on a newer one is asked for
	expires time.Time
	retry   time.Time // no question before, after one that failed
}

func newTokenSource(o OAuthOptions, log *slog.Logger) (*tokenSource, error) {
	u, err := url.Parse(o.TokenURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, &Error{Text: "kafka.sasl.oauth.token_url: not a URL", Code: exitUsage}
	}
	if o.ClientID == "" || o.ClientSecret == "" {
		return nil, &Error{Text: "kafka.sasl.oauth: client_id and client_secret are required", Code: exitUsage}
	}
	client := &http.Client{
		Timeout:       tokenTimeout,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &tokenSource{opts: o, client: client, now: time.Now, log: log}, nil
}

// Token implements sarama.AccessTokenProvider.
func (s *tokenSource) Token() (*sarama.AccessToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Before(s.refresh) || (now.Before(s.retry) && now.Before(s.expires)) {
		return &sarama.AccessToken{Token: s.token}, nil
	}
	token, life, err := s.fetch()
	if err == nil {
		s.token, s.refresh, s.expires = token, now.Add(life*4/5), now.Add(life)
		return &sarama.AccessToken{Token: s.token}, nil
	}
	if now.Before(s.expires) {
		s.retry = now.Add(5 * time.Second)
		s.log.Warn("the token service gave no new token; the old one serves on",
			slog.String("error", err.Error()), slog.Time("expires", s.expires))
		return &sarama.AccessToken{Token: s.token}, nil
	}
	return nil, err
}

// fetch asks for one token. sarama passes no context: the client's timeout bounds it.
func (s *tokenSource) fetch() (token string, life time.Duration, err error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if s.opts.Scope != "" {
		form.Set("scope", s.opts.Scope)
	}
	u, err := url.Parse(s.opts.TokenURL)
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", errToken, err)
	}
	req := &http.Request{Method: http.MethodPost, URL: u, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(form.Encode()))}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(s.opts.ClientID), url.QueryEscape(s.opts.ClientSecret))
	res, err := s.client.Do(req)
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", errToken, err)
	}
	defer res.Body.Close()
	return readToken(res)
}

func readToken(res *http.Response) (string, time.Duration, error) {
	if res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusBadRequest {
		return "", 0, fmt.Errorf("%w: %w", errToken, errTokenRefused)
	}
	if res.StatusCode != http.StatusOK {
		return "", 0, fmt.Errorf("%w: status %d", errToken, res.StatusCode)
	}
	var body struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&body); err != nil || body.AccessToken == "" {
		return "", 0, fmt.Errorf("%w: the answer holds no token", errToken)
	}
	if body.ExpiresIn <= 0 || body.ExpiresIn > 86_400 {
		body.ExpiresIn = 300 // not said, or not to be believed
	}
	return body.AccessToken, time.Duration(body.ExpiresIn * float64(time.Second)), nil
}
