package broker_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsets asks for the offsets of groups in every way that a client of Kafka 2.1 to 4.3 does.
func offsets(version int16, topicID [16]byte, all bool, groups ...string) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version = version
	req.Group = groups[0]
	for _, g := range groups {
		rg := kmsg.NewOffsetFetchRequestGroup()
		rg.Group = g
		if !all {
			rg.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "orders", TopicID: topicID, Partitions: []int32{0, 1}}}
		}
		req.Groups = append(req.Groups, rg)
	}
	if !all {
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "orders", Partitions: []int32{0, 1}}}
	}
	return req
}

// offsetOf returns the offset of orders/0 of the i-th group of an answer.
func offsetOf(resp *kmsg.OffsetFetchResponse, i int) (offset int64, partitions int, code int16) {
	if resp.Version <= 7 {
		if len(resp.Topics) == 0 {
			return -2, 0, resp.ErrorCode
		}
		return resp.Topics[0].Partitions[0].Offset, len(resp.Topics[0].Partitions), resp.ErrorCode
	}
	g := resp.Groups[i]
	if len(g.Topics) == 0 {
		return -2, 0, g.ErrorCode
	}
	return g.Topics[0].Partitions[0].Offset, len(g.Topics[0].Partitions), g.ErrorCode
}

func TestAGroupThatDoesNotExistHasCommittedNothing(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	if err := b.CreateTopic("orders", 2, nil); err != nil {
		t.Fatal(err)
	}
	if err := commit(t, b.Addr(), "known", "orders", 7); err != nil {
		t.Fatal(err)
	}
	id := b.Cluster().TopicInfo("orders").TopicID
	for version := int16(1); version <= kmsg.NewPtrOffsetFetchRequest().MaxVersion(); version++ {
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			t.Parallel()
			w := dial(t, b.Addr())
			for range 2 { // the answer stays
				resp := w.ask(offsets(version, id, false, "nobody")).(*kmsg.OffsetFetchResponse)
				if at, n, code := offsetOf(resp, 0); at != -1 || n != 2 || code != 0 {
					t.Errorf("nobody: offset %d, %d partitions, code %d", at, n, code)
				}
			}
			resp := w.ask(offsets(version, id, false, "known")).(*kmsg.OffsetFetchResponse)
			if at, _, code := offsetOf(resp, 0); at != 7 || code != 0 {
				t.Errorf("known: offset %d, code %d", at, code)
			}
			if version >= 2 {
				resp := w.ask(offsets(version, id, true, "nobody")).(*kmsg.OffsetFetchResponse)
				if _, n, code := offsetOf(resp, 0); n != 0 || code != 0 {
					t.Errorf("all of nobody: %d partitions, code %d", n, code)
				}
			}
			if version >= 8 {
				resp := w.ask(offsets(version, id, false, "known", "nobody")).(*kmsg.OffsetFetchResponse)
				known, _, _ := offsetOf(resp, 0)
				nobody, _, code := offsetOf(resp, 1)
				if known != 7 || nobody != -1 || code != 0 {
					t.Errorf("both: %d and %d, code %d", known, nobody, code)
				}
				resp = w.ask(offsets(version, id, true, "known", "nobody")).(*kmsg.OffsetFetchResponse)
				if known, _, _ := offsetOf(resp, 0); known != 7 {
					t.Errorf("all of both: %d", known)
				}
			}
		})
	}
	if b.Cluster().GroupInfo("nobody") != nil {
		t.Error("asking made the group")
	}
}

// A control of a test comes before the answer, whenever it was installed.
func TestAControlComesBeforeTheAnswerToAnUnknownGroup(t *testing.T) {
	t.Parallel()
	for _, key := range []int16{-1, int16(kmsg.OffsetFetch)} {
		b := open(t, nil)
		if err := b.CreateTopic("orders", 2, nil); err != nil {
			t.Fatal(err)
		}
		seen := 0
		b.ControlKey(key, func(req kmsg.Request) (kmsg.Response, error, bool) {
			if _, ok := req.(*kmsg.OffsetFetchRequest); ok {
				seen++
			}
			return nil, nil, false
		})
		w := dial(t, b.Addr())
		for range 2 {
			resp := w.ask(offsets(6, [16]byte{}, false, "nobody")).(*kmsg.OffsetFetchResponse)
			if at, _, code := offsetOf(resp, 0); at != -1 || code != 0 {
				t.Errorf("key %d: offset %d, code %d", key, at, code)
			}
		}
		if seen != 2 {
			t.Errorf("key %d: the control saw %d of 2 requests", key, seen)
		}
	}
}
