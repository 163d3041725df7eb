package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	names "github.com/prometheus/common/model"

	"commerce.internal/orderctl/internal/inspect/lag"
)

const (
	apiMetric   = "http_server_request_duration_seconds"
	workMetric  = "orderctl_consume_attempt_duration_seconds"
	scrapeLimit = 4 << 20
)

// Scraper reads the metrics of serve and consume, and tells rates between two readings. It is used by one goroutine.
type Scraper struct {
	urls   []string
	client *http.Client
	now    func() time.Time
	last   map[string]reading
}

// reading is what the counters of one process stood at.
type reading struct {
	at        time.Time
	api, work buckets
	codes     map[int]float64
	outcomes  map[string]float64
}

// buckets are the cumulative counts of a histogram by upper bound.
type buckets map[float64]float64

// NewScraper returns a Scraper of one or several URLs, whose figures are added up.
func NewScraper(urls []string, client *http.Client, now func() time.Time) *Scraper {
	return &Scraper{urls: urls, client: client, now: now, last: map[string]reading{}}
}

// Scrape reads all URLs. The first reading gives no rates; so does one after a restart, whose counters are lower.
func (s *Scraper) Scrape(ctx context.Context) (Metrics, error) {
	sum := reading{api: buckets{}, work: buckets{}, codes: map[int]float64{}, outcomes: map[string]float64{}}
	var took time.Duration
	known := true
	for _, url := range s.urls {
		now, err := s.read(ctx, url)
		if err != nil {
			clear(s.last)
			return Metrics{}, err
		}
		before, ok := s.last[url]
		s.last[url] = now
		if !ok || !sum.add(now, before) {
			known = false
			continue
		}
		took = max(took, now.at.Sub(before.at))
	}
	if !known || took <= 0 {
		return Metrics{}, nil
	}
	return sum.metrics(took.Seconds()), nil
}

func (s *Scraper) read(ctx context.Context, url string) (reading, error) {
	r := reading{at: s.now(), api: buckets{}, work: buckets{}, codes: map[int]float64{}, outcomes: map[string]float64{}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return r, fmt.Errorf("read metrics: %w", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return r, fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return r, fmt.Errorf("read metrics of %s: status %d", url, resp.StatusCode)
	}
	limited := &io.LimitedReader{R: resp.Body, N: scrapeLimit + 1}
	parser := expfmt.NewTextParser(names.UTF8Validation)
	families, err := parser.TextToMetricFamilies(limited)
	switch {
	case limited.N <= 0:
		return r, errors.New("read metrics: more than 4 MiB")
	case err != nil:
		return r, fmt.Errorf("read metrics of %s: %w", url, err)
	}
	r.collect(families)
	return r, nil
}

func (r *reading) collect(families map[string]*dto.MetricFamily) {
	for _, m := range families[apiMetric].GetMetric() {
		labels := labelsOf(m)
		code, err := strconv.Atoi(labels["code"])
		if err != nil || labels["method"] != http.MethodPost {
			continue
		}
		r.codes[code] += float64(m.GetHistogram().GetSampleCount())
		r.api.collect(m.GetHistogram())
	}
	for _, m := range families[workMetric].GetMetric() {
		r.outcomes[labelsOf(m)["outcome"]] += float64(m.GetHistogram().GetSampleCount())
		r.work.collect(m.GetHistogram())
	}
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

func (b buckets) collect(h *dto.Histogram) {
	for _, bucket := range h.GetBucket() {
		b[bucket.GetUpperBound()] += float64(bucket.GetCumulativeCount())
	}
	b[math.Inf(1)] = max(b[math.Inf(1)], 0)
	if n := len(h.GetBucket()); n == 0 || !math.IsInf(h.GetBucket()[n-1].GetUpperBound(), 1) {
		b[math.Inf(1)] += float64(h.GetSampleCount())
	}
}

// add adds what happened between two readings of one process. false: its counters went back.
func (r *reading) add(now, before reading) bool {
	for code, n := range before.codes {
		if now.codes[code] < n {
			return false
		}
	}
	for outcome, n := range before.outcomes {
		if now.outcomes[outcome] < n {
			return false
		}
	}
	for code, n := range now.codes {
		r.codes[code] += n - before.codes[code]
	}
	for outcome, n := range now.outcomes {
		r.outcomes[outcome] += n - before.outcomes[outcome]
	}
	for le, n := range now.api {
		r.api[le] += n - before.api[le]
	}
	for le, n := range now.work {
		r.work[le] += n - before.work[le]
	}
	return true
}

func (r *reading) metrics(took float64) Metrics {
	var m Metrics
	if len(r.api) > 0 {
		per := func(want func(code int) bool) lag.Maybe[float64] {
			n := 0.0
			for code, k := range r.codes {
				if want(code) {
					n += k
				}
			}
			return lag.Know(n / took)
		}
		m.Accepted = per(func(c int) bool { return c == http.StatusAccepted })
		m.Refused = per(func(c int) bool { return c >= 400 && c < 500 })
		m.Busy = per(func(c int) bool { return c == http.StatusServiceUnavailable })
		m.InDoubt = per(func(c int) bool { return c == http.StatusGatewayTimeout })
		m.APIP99 = r.api.quantile(0.99)
	}
	m.WorkP99 = r.work.quantile(0.99)
	all, wrong := 0.0, 0.0
	for outcome, n := range r.outcomes {
		all += n
		switch outcome {
		case "retried", "dead", "abandoned": // what waits behind another, or was there already, is no error
			wrong += n
		}
	}
	if all > 0 {
		m.Errors = lag.Know(wrong / all)
	}
	return m
}

// quantile interpolates within the bucket where it lies. Above the last bound it is unknown but for that bound.
func (b buckets) quantile(q float64) lag.Maybe[float64] {
	bounds := slices.Sorted(maps.Keys(b))
	if len(bounds) == 0 || b[bounds[len(bounds)-1]] <= 0 {
		return lag.Maybe[float64]{}
	}
	want := q * b[bounds[len(bounds)-1]]
	below, from := 0.0, 0.0
	for _, le := range bounds {
		if n := b[le]; n >= want {
			if math.IsInf(le, 1) {
				return lag.Know(from)
			}
			return lag.Know(from + (le-from)*(want-below)/max(n-below, 1e-9))
		}
		below, from = b[le], le
	}
	return lag.Maybe[float64]{}
}
