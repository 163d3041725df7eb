package out

// UseColor decides whether a stream gets colours: --color, then NO_COLOR, then CLICOLOR_FORCE and FORCE_COLOR, then
// TERM=dumb, then whether it is a terminal. env looks a variable up.
func UseColor(flag string, env func(string) string, terminal bool) bool {
	switch flag {
	case "always":
		return true
	case "never":
		return false
	}
	switch {
	case env("NO_COLOR") != "":
		return false
	case forced(env("CLICOLOR_FORCE")), forced(env("FORCE_COLOR")):
		return true
	case env("TERM") == "dumb":
		return false
	}
	return terminal
}

func forced(v string) bool { return v != "" && v != "0" }

// Paint wraps s in the sequence of its style: 16 colours, bold, dim, reverse; nothing else ever. What it is given must
// have been through text.Safe.
func Paint(s string, style Style, color bool) string {
	if !color || s == "" {
		return s
	}
	code := ""
	switch style {
	case Good:
		code = "32"
	case Warn:
		code = "33"
	case Bad:
		code = "31"
	case Dim:
		code = "2"
	case Bold:
		code = "1"
	case Reverse:
		code = "7"
	default:
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
