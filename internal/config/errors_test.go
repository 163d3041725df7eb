package config_test

import (
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/config"
)

// Each row is one way to get the configuration wrong. FILE in the wanted text stands for the path.
func TestWhatIsWrongIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		file string
		env  []string
		text string
		hint string
	}{
		{"unknown key", "kafka:\n  brokrs: [a:1]\n", nil, `FILE:2: unknown key kafka.brokrs`, `did you mean kafka.brokers?`},
		{"a key in the wrong case", "Kafka:\n  brokers: [a:1]\n", nil, `FILE:1: unknown key Kafka`, `did you mean kafka?`},
		{"a key without its section", "\nbrokers: [a:1]\n", nil, `FILE:2: unknown key brokers`, `did you mean kafka.brokers?`},
		{"a dotted key", "kafka.timeout: 9s\n", nil, `FILE:1: unknown key kafka.timeout`, `write it nested: kafka: {timeout: ...}`},
		{"an unknown key with an escape", "\"a\\e[2Jb\": 1\n", nil, `FILE:1: unknown key a\x1b[2Jb`, ``},
		{"a key that is no word", "? [a]\n: b\n", nil, `FILE:1: a key must be a word`, ``},
		{"a duplicate key", "log:\n  level: info\n  level: warn\n", nil, `FILE:3: log.level stands here a second time, first in line 2`, ``},
		{"an anchor", "kafka: &k {name: x}\n", nil, `FILE:1: anchors (&name) are not allowed`, ``},
		{"an alias", "kafka: {name: &n x, brokers: [*n]}\n", nil, `FILE:1: anchors (&name) are not allowed`, ``},
		{"a merge key", "kafka:\n  <<: {name: x}\n", nil, `FILE:2: merge keys (<<) are not allowed`, ``},
		{"a tag", "kafka: {name: !!str x}\n", nil, `FILE:1: tags (!name) are not allowed`, ``},
		{"a second document", "log: {level: info}\n---\nlog: {level: warn}\n", nil, `FILE:2: a second document begins here`, ``},
		{"a tab", "log:\n\tlevel: info\n", nil, `FILE:2: not YAML: found character that cannot start any token`, ``},
		{"UTF-16", "\xff\xfel\x00", nil, `FILE:1: the file is UTF-16; save it as UTF-8`, ``},
		{"no UTF-8", "log: {level: \"\xff\"}\n", nil, `FILE:1: the file is not UTF-8`, ``},
		{"a list where a section belongs", "kafka: [a]\n", nil, `FILE:1: kafka must be a section`, ``},
		{"a text where a section belongs", "kafka: x\n", nil, `FILE:1: kafka must be a section`, ``},
		{"a whole file that is a list", "- a\n", nil, `FILE:1: the file must be a section`, ``},
		{"a section where a value belongs", "log: {level: {a: b}}\n", nil, `FILE:1: log.level: must be a value, not a section`, ``},
		{"a list where a value belongs", "log: {level: [info]}\n", nil, `FILE:1: log.level: must be one value, not a list`, ``},
		{"a list of lists", "kafka: {brokers: [[a]]}\n", nil, `FILE:1: kafka.brokers: must be a list of plain values`, ``},
		{"a duration without a unit", "kafka: {timeout: 5}\n", nil, `FILE:1: kafka.timeout: "5" has no unit; write 5s`, ``},
		{"a duration that is a fraction", "kafka: {timeout: 1.5}\n", nil, `FILE:1: kafka.timeout: "1.5" has no unit; write 1.5s`, ``},
		{"a duration in the environment", "", []string{"ORDERCTL_KAFKA_TIMEOUT=5"}, `kafka.timeout: "5" has no unit; write 5s (env ORDERCTL_KAFKA_TIMEOUT)`, ``},
		{"a negative duration", "consume: {max_age: -1s}\n", nil, `FILE:1: consume.max_age: -1s is negative`, ``},
		{"a duration that is too short", "kafka: {timeout: 1ms}\n", nil, `FILE:1: kafka.timeout: 1ms is below 100ms`, ``},
		{"a duration that is too long", "kafka: {timeout: 1h}\n", nil, `FILE:1: kafka.timeout: 1h is above 10m`, ``},
		{"a fraction where a whole number belongs", "topics: {partitions: 3.7}\n", nil, `FILE:1: topics.partitions: "3.7" is not a whole number`, ``},
		{"an octal number", "topics: {partitions: 010}\n", nil, `FILE:1: topics.partitions: "010" is not a whole number`, ``},
		{"an exponent", "topics: {partitions: 1e3}\n", nil, `FILE:1: topics.partitions: "1e3" is not a whole number`, ``},
		{"a number that is too large", "topics: {partitions: 99999999999999999999}\n", nil, `FILE:1: topics.partitions: 99999999999999999999 is out of range`, ``},
		{"a number where true or false belongs", "serve: {public_ops: 1}\n", nil, `FILE:1: serve.public_ops: "1" is neither true nor false`, ``},
		{"yes", "serve: {public_ops: yes}\n", nil, `FILE:1: serve.public_ops: "yes" is neither true nor false`, ``},
		{"a size without sense", "serve: {limits: {body: 64 kilo}}\n", nil, `FILE:1: serve.limits.body: "64 kilo" is not a size`, ``},
		{"a negative rate", "consume: {rate: -1}\n", nil, `FILE:1: consume.rate: -1 is negative`, ``},
		{"a rate that is no number", "consume: {rate: .nan}\n", nil, `FILE:1: consume.rate: ".nan" is not a rate`, ``},
		{"an infinite rate", "consume: {rate: .inf}\n", nil, `FILE:1: consume.rate: ".inf" is not a rate`, ``},
		{"a share above 1", "consume: {breaker: {ratio: 150%}}\n", nil, `FILE:1: consume.breaker.ratio: 150% is above 1`, ``},
		{"a misspelt choice", "log: {level: wran}\n", nil, `FILE:1: log.level: "wran" is none of debug, info, warn, error`, `did you mean warn?`},
		{"a control character", "", []string{"ORDERCTL_KAFKA_NAME=a\x1bb"}, `kafka.name: "a\x1bb" holds a control character (env ORDERCTL_KAFKA_NAME)`, ``},
		{"a line feed", "kafka: {name: \"a\\nb\"}\n", nil, `FILE:1: kafka.name: "a\nb" holds a control character`, ``},
		{"an unknown variable", "", []string{"ORDERCTL_KAFAK_BROKERS=a:1"}, `unknown environment variable ORDERCTL_KAFAK_BROKERS`, `did you mean ORDERCTL_KAFKA_BROKERS?`},
		{"a variable that is a section", "", []string{"ORDERCTL_KAFKA=x"}, `unknown environment variable ORDERCTL_KAFKA`, `'orderctl help environment' lists them`},
		{"a variable like nothing", "", []string{"ORDERCTL_TYPO=1"}, `unknown environment variable ORDERCTL_TYPO`, `'orderctl help environment' lists them`},
		{"a context that is not there", "contexts: [{name: prod}, {name: dev}]\ncontext: prd\n", nil, `FILE:2: context "prd" not found in FILE`, `did you mean "prod"? contexts here: dev, prod`},
		{"a context without a file", "", []string{"ORDERCTL_CONTEXT=prd"}, `context "prd" not found in FILE: there are no contexts (env ORDERCTL_CONTEXT)`, ``},
		{"a context named twice", "contexts:\n  - name: a\n  - name: a\n", nil, `FILE:3: context "a" stands here a second time, first in line 2`, ``},
		{"a context with a bad name", "contexts: [{name: Prod}]\n", nil, `FILE:1: context "Prod": the name must match ^[a-z0-9][a-z0-9-]{0,31}$`, ``},
		{"a context with an unknown key", "contexts:\n  - name: a\n    brokrs: [x:1]\n", nil, `FILE:3: unknown key contexts[0].brokrs`, ``},
		{"contexts that are no list", "contexts: {prod: {}}\n", nil, `FILE:1: contexts must be a list of blocks`, ``},
		{"a broker without a port", "kafka: {brokers: [host]}\n", nil, `FILE:1: kafka.brokers: "host" has no port; write host:9092`, ``},
		{"a broker with an impossible port", "kafka: {brokers: ['h:99999']}\n", nil, `FILE:1: kafka.brokers: "h:99999": the port must be a number from 1 to 65535`, ``},
		{"a broker without a host", "kafka: {brokers: [':9092']}\n", nil, `FILE:1: kafka.brokers: ":9092" has no usable host`, ``},
		{"an IPv6 broker without brackets", "kafka: {brokers: ['::1:9092']}\n", nil, `FILE:1: kafka.brokers: "::1:9092" is not host:port`, ``},
		{"no broker", "kafka: {brokers: []}\n", nil, `FILE:1: kafka.brokers: no broker is named`, `write host:9092`},
		{"a password in the file", "kafka: {sasl: {password: hunter2}}\n", nil, `FILE:1: kafka.sasl.password is a secret, and secrets do not stand in this file`, `put it into the file that kafka.sasl.password_file names, or into ORDERCTL_KAFKA_SASL_PASSWORD`},
		{"a password in a context", "contexts: [{name: a, sasl: {password: hunter2}}]\n", nil, `FILE:1: contexts[0].sasl.password is a secret`, `put it into the file that contexts[0].sasl.password_file names, or into ORDERCTL_KAFKA_SASL_PASSWORD`},
		{"a password in the dsn of the file", "store:\n  dsn: postgres://u:hunter2@db/orders\n", nil, `FILE:2: store.dsn holds a password`, `put it into store.password_file, or the whole dsn into ORDERCTL_STORE_DSN`},
		{"a password in the dsn of a context", "contexts: [{name: a, store: {dsn: 'u:hunter2@tcp(db)/x'}}]\n", nil, `FILE:1: contexts[0].store.dsn holds a password`, `put it into store.password_file`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			in := input(t, row.file, row.env...)
			list := problems(t, in)
			p := list[0]
			got := strings.ReplaceAll(p.Error(), in.Path, "FILE")
			if !strings.HasPrefix(got, row.text) {
				t.Errorf("got  %s\nwant %s", got, row.text)
			}
			if !strings.HasPrefix(p.Hint(), row.hint) || row.hint == "" && p.Hint() != "" {
				t.Errorf("hint %q, want %q", p.Hint(), row.hint)
			}
			for _, p := range list {
				if p.ExitCode() != 2 || strings.Contains(p.Error()+p.Hint(), "hunter2") {
					t.Errorf("exit code %d, text %s", p.ExitCode(), p)
				}
			}
		})
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	in := input(t, "kafka:\n  timeout: 5\n  brokers: [host]\nlog: {level: loud}\n", "ORDERCTL_TYPO=1", "ORDERCTL_CONSUME_RATE=fast")
	if got := problems(t, in); len(got) != 5 {
		t.Errorf("%d problems: %v", len(got), got)
	}
}

func TestAddressesThatAreRight(t *testing.T) {
	t.Parallel()
	for _, b := range []string{"[::1]:9092", "a:1,,b:2", "kafka-1.prod.svc.cluster.local:9092", "127.0.0.1:1"} {
		must(t, config.Input{Environ: []string{"ORDERCTL_KAFKA_BROKERS=" + b, "HOME=" + t.TempDir()}})
	}
	for _, a := range []string{":8080", "127.0.0.1:0", "[::]:80"} {
		must(t, config.Input{Environ: []string{"ORDERCTL_SERVE_ADDR=" + a, "HOME=" + t.TempDir()}})
	}
}

func TestABrokerURLDoesNotEchoItsPassword(t *testing.T) {
	t.Parallel()
	p := problems(t, config.Input{Environ: []string{"ORDERCTL_KAFKA_BROKERS=kafka://u:hunter2@h:9092", "HOME=" + t.TempDir()}})
	if len(p) != 1 || strings.Contains(p[0].Error(), "hunter2") || !strings.Contains(p[0].Error(), "without scheme and user") {
		t.Errorf("%v", p)
	}
}

func TestKubernetesServiceLinksAreIgnored(t *testing.T) {
	t.Parallel()
	must(t, config.Input{Environ: []string{
		"ORDERCTL_PORT=tcp://10.0.0.1:8080", "ORDERCTL_SERVICE_HOST=10.0.0.1", "ORDERCTL_SERVICE_PORT=8080",
		"ORDERCTL_SERVICE_PORT_HTTP=8080", "ORDERCTL_PORT_8080_TCP=tcp://10.0.0.1:8080", "ORDERCTL_PORT_8080_TCP_PROTO=tcp",
		"ORDERCTL_API_PORT_8080_TCP_PORT=8080", "ORDERCTL_API_PORT_8080_TCP_ADDR=10.0.0.1", "ORDERCTL_API_PORT_53_UDP=x",
		"ORDERCTL_ACTIVE_HELP=0", "ORDERCTL_COMPLETION_DESCRIPTIONS=0", "ORDERCTL_EMPTY_IS_UNSET=", "HOME=" + t.TempDir(),
	}})
}

func TestEnvironmentNamesAreUniqueAndNoServiceLinks(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, k := range config.Keys() {
		if k.Env == "" {
			continue
		}
		if other, twice := seen[k.Env]; twice {
			t.Errorf("%s and %s are both %s", k.Name, other, k.Env)
		}
		seen[k.Env] = k.Name
		// If a key ended like a service link, a pod's environment would set it, and its misspelling would be ignored.
		wrong := k.Env[:len("ORDERCTL_")] + "X" + k.Env[len("ORDERCTL_"):]
		if _, err := config.Load(config.Input{Environ: []string{wrong + "=x", "HOME=" + t.TempDir()}}); err == nil {
			t.Errorf("%s ends like a service link of Kubernetes", k.Env)
		}
	}
}

func TestRulesBetweenKeys(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, file, key string }{
		{"a permit larger than half the channel", "producer: {channel_buffer: 1000}", "serve.limits.per_partition: 512 is above half of producer.channel_buffer (1000)"},
		{"a body above the batch's", "serve: {limits: {body: 8MiB}}", "serve.limits.body: 8MiB is above serve.limits.batch_body (4MiB)"},
		{"a body above the record's", "producer: {max_message_bytes: 100KiB}", "serve.limits.body: 512KiB is above producer.max_message_bytes (100KiB)"},
		{"a batch above what is in flight", "serve: {limits: {in_flight: 600}}", "serve.limits.batch: 1000 is above serve.limits.in_flight (600)"},
		{"a batch body above what is in flight", "serve: {limits: {in_flight_bytes: 1MiB}}", "serve.limits.batch_body: 4MiB is above serve.limits.in_flight_bytes (1MiB)"},
		{"an answer that comes after the connection is cut", "serve: {timeouts: {write: 5s}}", "serve.timeouts.publish: 5s is not below serve.timeouts.write (5s)"},
		{"headers slower than the request", "serve: {timeouts: {read: 1s}}", "serve.timeouts.read_header: 5s is above serve.timeouts.read (1s)"},
		{"an acknowledgement later than the answer", "producer: {ack_timeout: 5s}", "producer.ack_timeout: 5s is not below serve.timeouts.publish (5s)"},
		{"more replicas needed than there are", "topics: {min_insync_replicas: 2}", "topics.min_insync_replicas: 2 is above topics.replication_factor (1)"},
		{"a warning that comes after the alarm", "lag: {warn_unread: 20, crit_unread: 10}", "lag.warn_unread: is above lag.crit_unread"},
		{"hold without an order", "consume: {order: none, on_dead: hold}", "consume.on_dead: hold keeps the order of each order's messages, and consume.order is none"},
		{"hold in the order of partitions", "consume: {order: partition, on_dead: hold}", "consume.on_dead: hold keeps the order of each order's messages, and consume.order is partition"},
		{"an effect without a database", "consume: {handler: log, effect_file: x.sql}", "consume.effect_file: is SQL, and consume.handler is log"},
		{"tiers that do not ascend", "consume: {retry: [1m, 5s]}", "consume.retry: 5s does not come after 1m"},
		{"a tier of no delay", "consume: {retry: [0s]}", "consume.retry: a delay of 0s is no delay"},
		{"a tier of a day and more", "consume: {retry: [25h]}", "consume.retry: 25h is above 24h"},
		{"a tier that a topic name cannot say", "consume: {retry: [1500us]}", "consume.retry: 1.5ms is not a whole number of milliseconds"},
		{"a group that no topic name can hold", "consume: {group: 'a b'}", `consume.group: "a b" is not usable`},
		{"a topic that Kafka refuses", "consume: {topic: 'a/b'}", `consume.topic: "a/b" is not a topic name`},
		{"names that are too long together", "consume: {group: " + strings.Repeat("g", 240) + "}", "consume.group: topic and group are too long together"},
		{"a pause above its cap", "consume: {local: {base: 3s}}", "consume.local.base: 3s is above consume.local.cap (2s)"},
		{"probes that go backwards", "consume: {breaker: {probe_max: 500ms}}", "consume.breaker.probe_min: 1s is above consume.breaker.probe_max (500ms)"},
		{"a breaker that always opens", "consume: {breaker: {ratio: 0}}", "consume.breaker.ratio: must be above 0"},
		{"a server without an address", "store: {driver: postgres}", "store.dsn: is empty, and store.driver is postgres"},
		{"MySQL without an address", "store: {driver: mysql}", "store.dsn: is empty, and store.driver is mysql"},
		{"a pool with no room for a reader", "store: {pool: {max_open: 1}}", "store.pool.max_open: 1 is below 2"},
		{"half a client certificate", "kafka: {tls: {enabled: true, cert_file: x}}", "kafka.tls.cert_file: cert_file and key_file go together"},
		{"certificates without TLS", "kafka: {tls: {ca_file: x}}", "kafka.tls.ca_file: is set, but TLS is off"},
		{"a user without a mechanism", "kafka: {sasl: {username: x}}", "kafka.sasl.username: is set, but there is no mechanism"},
		{"a login without a user", "kafka: {tls: {enabled: true}, sasl: {mechanism: PLAIN}}", "kafka.sasl.username: is needed for PLAIN"},
		{"a token from an open line", "kafka: {tls: {enabled: true}, sasl: {mechanism: OAUTHBEARER, oauth: {client_id: x, token_url: 'http://idp/t'}}}", "kafka.sasl.oauth.client_secret_file: is needed for OAUTHBEARER"},
		{"two listeners on one address", "serve: {admin: {addr: ':8080'}}", "serve.admin.addr: :8080 is the address of the API already"},
		{"a listener without a port", "serve: {addr: localhost}", `serve.addr: "localhost" has no port`},
		{"a problem base that is no URL", "serve: {problem_base: problems}", "serve.problem_base: must be an http or https URL"},
		{"a currency that is none", "order: {currency: yuan}", `order.currency: "yuan" is not an ISO 4217 code`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			in := input(t, row.file+"\n")
			got := strings.ReplaceAll(problems(t, in)[0].Error(), in.Path, "FILE")
			if !strings.HasPrefix(got, "FILE:1: "+row.key) {
				t.Errorf("got  %s\nwant FILE:1: %s", got, row.key)
			}
		})
	}
}

func TestALoginOverAnOpenLineNeedsToBeAllowed(t *testing.T) {
	t.Parallel()
	const file = "kafka: {sasl: {mechanism: PLAIN, username: u%s}}\n"
	env := "ORDERCTL_KAFKA_SASL_PASSWORD=hunter2"
	p := problems(t, input(t, strings.ReplaceAll(file, "%s", ""), env))
	if len(p) != 1 || !strings.Contains(p[0].Error(), "kafka.sasl.mechanism: the password would cross the network unencrypted") {
		t.Errorf("%v", p)
	}
	must(t, input(t, strings.ReplaceAll(file, "%s", ", allow_plaintext: true"), env))
	must(t, input(t, strings.ReplaceAll(file, "%s", ""), env, "ORDERCTL_KAFKA_TLS_ENABLED=true"))
}
