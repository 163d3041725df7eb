package obs

// Keys of log attributes. One name for one thing, in every component.
const (
	KeyTimestamp = "timestamp" // Unix milliseconds
	KeyMessage   = "message"
	KeyService   = "service"
	KeyComponent = "component"
	KeyError     = "error"
	KeyRepeated  = "repeated" // how many equal lines were left out

	KeyTraceID   = "trace_id"
	KeyRequestID = "request_id"
	KeyClientID  = "client_id"
	KeyMessageID = "message_id"
	KeyOrderID   = "order_id"

	KeyTopic     = "topic"
	KeyPartition = "partition"
	KeyOffset    = "offset"
	KeyGroup     = "group"
	KeyMember    = "member"
	KeyBroker    = "broker"

	KeyAttempt = "attempt"
	KeyClass   = "class"
	KeyCode    = "code"
	KeyReason  = "reason"
	KeyOutcome = "outcome"
	KeyState   = "state"
	KeyHop     = "hop"
	KeyTarget  = "target"

	KeyHTTPStatus = "http_status"
	KeyMethod     = "method"
	KeyRoute      = "route"
	KeyAddr       = "addr"

	KeyBytes      = "bytes"
	KeyCount      = "count"
	KeyDurationMS = "duration_ms"
	KeyVersion    = "version"
	KeyConfigKey  = "config_key"
	KeyFile       = "file"
	KeyLevel      = "to_level"
	KeyPanic      = "panic"
	KeyStack      = "stack"
)
