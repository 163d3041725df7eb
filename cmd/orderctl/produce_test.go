package main

import "testing"

func TestTheAPIIsWhereServeListens(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		":8080":            "http://127.0.0.1:8080",
		"0.0.0.0:9":        "http://127.0.0.1:9",
		"[::]:9":           "http://127.0.0.1:9",
		"127.0.0.1:18080":  "http://127.0.0.1:18080",
		"[::1]:8080":       "http://[::1]:8080",
		"orders.shop:8080": "http://orders.shop:8080",
	} {
		if got := apiURL(addr); got != want {
			t.Errorf("serve.addr %s: %s, want %s", addr, got, want)
		}
	}
}
