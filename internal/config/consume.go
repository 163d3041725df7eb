package config

import "time"

// Store is the database that remembers what is finished.
type Store struct {
	Driver       string `key:"driver" enum:"sqlite|postgres|mysql" doc:"sqlite, postgres or mysql (MariaDB and TiDB too)"`
	DSN          DSN    `key:"dsn" doc:"file or URL, without a password; empty: orders.db in $XDG_STATE_HOME/orderctl"`
	Password     Secret `key:"password" secret:"password_file" doc:"its password"`
	PasswordFile string `key:"password_file" doc:"file with the password (or ORDERCTL_STORE_PASSWORD); none with sqlite"`
	Migrate      string `key:"migrate" enum:"auto|true|false" doc:"bring the schema up to date at start; auto: true for sqlite"`
	Pool         Pool   `key:"pool" doc:"connections; sqlite has one writer, always"`
}

// Pool bounds the connections to the database.
type Pool struct {
	MaxOpen     int           `key:"max_open" min:"2" max:"10000" doc:"connections at most, a quarter of them for readers"`
	MaxIdle     int           `key:"max_idle" min:"1" max:"10000" doc:"connections that stay open while nobody uses them"`
	MaxLifetime time.Duration `key:"max_lifetime" min:"1s" max:"24h" doc:"after which a connection is replaced"`
}

// Consume is the worker.
type Consume struct {
	Group        string          `key:"group" doc:"consumer group"`
	Topic        string          `key:"topic" doc:"source topic"`
	Handler      string          `key:"handler" enum:"sql|webhook|log|discard" doc:"what an order does: sql, webhook, log or discard"`
	Order        string          `key:"order" enum:"key|partition|none" doc:"what keeps its order: key, partition or none"`
	OnDead       string          `key:"on_dead" enum:"continue|hold" doc:"later messages of a dead order: continue or hold"`
	Concurrency  int             `key:"concurrency" max:"1024" doc:"orders at a time; 0: 16, sql 4, sqlite 1"`
	Retry        []time.Duration `key:"retry" doc:"delays of the retry topics, ascending; none: no tiers"`
	Rate         Rate            `key:"rate" doc:"records a second; 0: no limit"`
	DrainTimeout time.Duration   `key:"drain_timeout" min:"10ms" max:"10m" doc:"for orders in hand at a stop"`
	InstanceID   string          `key:"instance_id" doc:"client id, in logs too; where set: static membership"`
	From         string          `key:"from" enum:"|earliest|latest" doc:"where a group without commits starts: earliest or latest; empty: earliest"`
	Admin        Admin           `key:"admin" doc:"with serve --with-consumer: that of serve"`
	Local        Local           `key:"local" doc:"attempts in place, before a tier or a letter"`
	MaxAge       time.Duration   `key:"max_age" doc:"older orders become letters (class expired); 0s: off"`
	Batch        int             `key:"batch" max:"10000" doc:"orders in one transaction; 0: 64, sqlite 256"`
	EffectFile   string          `key:"effect_file" doc:"SQL that runs in the same transaction as each order"`
	LoadTest     string          `key:"load_test" enum:"apply|discard" doc:"orders of a load test: apply or discard"`
	DLQ          ConsumeDLQ      `key:"dlq" doc:"dead letters"`
	OnBadBatch   string          `key:"on_bad_batch" enum:"halt|pointer" doc:"records that nobody can read: halt the partition, or send a pointer to them and go on"`
	KeepDone     time.Duration   `key:"keep_done" max:"87600h" doc:"what is done is remembered so long, and always above the commit; 0s: for ever"`
	Breaker      ConsumeBreaker  `key:"breaker" doc:"of the database"`
	Flood        ConsumeFlood    `key:"flood" doc:"dead letters that halt their partition"`
}

// Local is how often an order is tried in place.
type Local struct {
	Attempts int           `key:"attempts" min:"1" max:"100" doc:"attempts at all"`
	Base     time.Duration `key:"base" min:"1ms" max:"1m" doc:"pause before the second; it doubles"`
	Cap      time.Duration `key:"cap" min:"1ms" max:"5m" doc:"longest pause"`
}

// DLQ is what replays of dead letters may do.
type DLQ struct {
	AllowOrigins []string `key:"allow_origins" doc:"topics that letters may be replayed to beside consume.topic; a letter's own word is not enough"`
	MaxReplays   int      `key:"max_replays" min:"1" max:"1000" doc:"a letter that was replayed so often is skipped"`
}

// ConsumeDLQ is how dead letters are written.
type ConsumeDLQ struct {
	OnTooLarge string `key:"on_too_large" enum:"pause|pointer" doc:"a letter that the topic refuses: pause, or send a pointer to the source record"`
}

// ConsumeFlood is when a partition halts because too many of its orders become dead letters.
type ConsumeFlood struct {
	InRow  int           `key:"in_row" max:"1000000" doc:"letters in a row; 0: any number"`
	Ratio  Ratio         `key:"ratio" max:"1" doc:"share of letters in the window; 0: any share"`
	Window int           `key:"window" min:"1" max:"1000000" doc:"orders that the share is taken of"`
	Probe  time.Duration `key:"probe" min:"100ms" max:"24h" doc:"how often a partition that halts tries an order"`
}

// ConsumeBreaker is when the worker pauses because its database is away.
type ConsumeBreaker struct {
	Failures int           `key:"failures" min:"1" max:"10000" doc:"outages in a row that open it"`
	Ratio    Ratio         `key:"ratio" max:"1" doc:"share of outages in the window that opens it"`
	Window   int           `key:"window" min:"1" max:"100000" doc:"attempts that the share is taken of"`
	ProbeMin time.Duration `key:"probe_min" min:"10ms" max:"10m" doc:"first pause before a probe; it doubles"`
	ProbeMax time.Duration `key:"probe_max" min:"10ms" max:"1h" doc:"longest pause"`
}
