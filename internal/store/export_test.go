package store

import "commerce.internal/orderctl/internal/store/dbtest"

// TestServers are the servers of this test binary.
var TestServers dbtest.Servers
