package ops

import (
	"net"
	"testing"
)

func TestWhichListenersAreLocal(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		addr net.Addr
		want bool
	}{
		"127.0.0.1":         {&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, true},
		"127.9.9.9":         {&net.TCPAddr{IP: net.IPv4(127, 9, 9, 9)}, true},
		"::1":               {&net.TCPAddr{IP: net.IPv6loopback}, true},
		"a socket file":     {&net.UnixAddr{Name: "/run/x"}, true},
		"every address":     {&net.TCPAddr{IP: net.IPv4zero}, false},
		"every address, v6": {&net.TCPAddr{IP: net.IPv6zero}, false},
		"no address":        {&net.TCPAddr{}, false},
		"10.0.0.1":          {&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, false},
		"another kind":      {&net.UDPAddr{IP: net.IPv6loopback}, false},
	} {
		if got := loopback(tt.addr); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhichNamesAreLocal(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:80": true, "127.0.0.1": true, "127.0.0.1:8090": true, "[::1]": true, "[::1]:8090": true,
		"::ffff:127.0.0.1": true, "": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "10.0.0.1:8090": false,
		"0.0.0.0": false, "evil.example": false, "[::1]evil": false, "2130706433": false,
	} {
		if got := localHost(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
