package setup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const certificateLeft = 14 * 24 * time.Hour

// Reach is how far one came on the way to a broker.
type Reach struct {
	Step            string // the step that failed: name, TCP, TLS, protocol, login; empty: it let us in
	Err             error  // why
	CertificateEnds time.Time
	TooOld          bool // below Kafka 2.5
	Brokers         []BrokerAt
}

// BrokerAt is a broker of the cluster and the address that it advertises.
type BrokerAt struct {
	ID   int32
	Addr string
}

// broker walks to one of the configured brokers.
func (d *Doctor) broker(ctx context.Context, i int) []Finding {
	addr := d.opts.Brokers[i]
	r := d.opts.Probe(ctx, addr)
	d.facts.reached[i] = r
	if r.Err != nil {
		return []Finding{d.unreached(r)}
	}
	return d.certificate(r, addr, ok("%s", d.way(r)))
}

// unreached is a broker that one did not get to.
func (d *Doctor) unreached(r Reach) Finding {
	f := failed(r.Err, "set --brokers, ORDERCTL_KAFKA_BROKERS or kafka.brokers")
	f.Text = r.Step + ": " + f.Text
	if r.Step == "name" || r.Step == "TCP" {
		// What the error says itself is to ask the doctor.
		f.Code, f.Fix = codeUnreachable, fmt.Sprintf("set --brokers, ORDERCTL_KAFKA_BROKERS or kafka.brokers (now from: %s), or start the broker; 'orderctl dev' is one",
			cmp.Or(d.opts.Origin, "default"))
	}
	return f
}

func (d *Doctor) way(r Reach) string {
	words := []string{"reached"}
	if r.CertificateEnds.IsZero() {
		words = append(words, "no TLS")
	} else {
		words = append(words, "TLS until "+r.CertificateEnds.UTC().Format(time.DateOnly))
	}
	if d.opts.Principal != "" {
		words = append(words, "logged in as "+strings.TrimPrefix(d.opts.Principal, "User:"))
	}
	return strings.Join(words, ", ")
}

// certificate returns good, or a warning where the certificate ends soon.
func (d *Doctor) certificate(r Reach, addr string, good Finding) []Finding {
	left := r.CertificateEnds.Sub(d.opts.Now())
	if r.CertificateEnds.IsZero() || left >= certificateLeft {
		return []Finding{good}
	}
	return []Finding{warn("renew the certificate of the broker", "the certificate of %s ends in %s, %s",
		addr, days(left), r.CertificateEnds.UTC().Format(time.DateTime+" UTC"))}
}

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// known are the brokers that the cluster names itself.
func (d *Doctor) known() []BrokerAt {
	all := map[int32]BrokerAt{}
	for _, r := range d.facts.reached {
		for _, b := range r.Brokers {
			all[b.ID] = b
		}
	}
	var list []BrokerAt
	for _, b := range all {
		list = append(list, b)
	}
	slices.SortFunc(list, func(x, y BrokerAt) int { return cmp.Compare(x.ID, y.ID) })
	return list
}

// advertised walks to the addresses that the brokers give themselves: there, and not at the configured ones, every client
// goes after its first question.
func (d *Doctor) advertised(ctx context.Context) []Finding {
	all := d.known()
	reached := make([]Reach, len(all))
	var wg sync.WaitGroup
	for i, b := range all {
		if at := slices.Index(d.opts.Brokers, b.Addr); at >= 0 {
			reached[i] = d.facts.reached[at]
			continue
		}
		wg.Go(func() { reached[i] = d.opts.Probe(ctx, b.Addr) })
	}
	wg.Wait()
	var found []Finding
	for i, b := range all {
		switch r := reached[i]; {
		case slices.Contains(d.opts.Brokers, b.Addr) && r.Err != nil: // it has a line of its own
		case r.Err != nil:
			f := failed(r.Err, "")
			f.Text = fmt.Sprintf("broker %d calls itself %s: %s: %v", b.ID, b.Addr, r.Step, r.Err)
			f.Fix = fmt.Sprintf("set advertised.listeners of broker %d to an address that this host reaches", b.ID)
			if r.Step != "name" && r.Step != "TCP" {
				f.Fix += "; " + failed(r.Err, "check kafka.tls and kafka.sasl").Fix
			}
			found = append(found, f)
		case !slices.Contains(d.opts.Brokers, b.Addr):
			found = append(found, slices.DeleteFunc(d.certificate(r, b.Addr, ok("")), func(f Finding) bool { return f.Level == LevelOK })...)
		}
		if reached[i].TooOld {
			d.facts.old = append(d.facts.old, b.ID)
		}
	}
	if len(found) > 0 {
		return found
	}
	return []Finding{ok("%s reached where %s", plural(len(all), "broker"), choose(len(all) == 1, "it says it is", "they say they are"))}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func choose(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
