package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/config"
)

// completeFresh is for how long an answer, or that there was none, is believed: Tab is pressed again and again.
const completeFresh = 10 * time.Second

// cluster is what completion knows of a cluster.
type cluster struct {
	At      time.Time      `json:"at"`
	Failure string         `json:"failure,omitempty"`
	Groups  []clusterGroup `json:"groups"`
	Topics  map[string]int `json:"topics"` // and how many partitions they have
}

type clusterGroup struct {
	Name string `json:"name"`
	Note string `json:"note"`
}

// known is the cluster as it was within the last seconds, else as it is now.
func (s *session) known(ctx context.Context) cluster {
	file := filepath.Join(config.PathsOf(s.env.environ).Cache, "complete.json")
	all, key := readClusters(file), s.clusterKey()
	if c, ok := all[key]; ok && s.fresh(c) {
		return c
	}
	c := s.survey(ctx)
	kept := map[string]cluster{key: c}
	for other, old := range all {
		if other != key && s.fresh(old) {
			kept[other] = old
		}
	}
	_ = writeClusters(file, kept) // without it the next Tab asks again
	return c
}

func (s *session) fresh(c cluster) bool {
	age := s.env.now().Sub(c.At)
	return age >= 0 && age < completeFresh
}

// clusterKey tells clusters apart, and users: not everybody sees the same of one.
func (s *session) clusterKey() string {
	k := s.cfg.Kafka
	return fmt.Sprintf("%s %s %s%s", strings.Join(k.Brokers, ","), k.SASL.Mechanism, k.SASL.Username, k.SASL.OAuth.ClientID)
}

// readClusters returns what the file holds; one that cannot be read holds nothing.
func readClusters(file string) map[string]cluster {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var all map[string]cluster
	if json.Unmarshal(b, &all) != nil {
		return nil
	}
	return all
}

// writeClusters replaces the file in one step, for several shells may complete at once.
func writeClusters(file string, all map[string]cluster) error {
	b, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("encode completions: %w", err)
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make cache folder: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".complete-*") // made with 0600
	if err != nil {
		return fmt.Errorf("write completions: %w", err)
	}
	_, err = tmp.Write(b)
	if closed := tmp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write completions: %w", err)
	}
	return nil
}
