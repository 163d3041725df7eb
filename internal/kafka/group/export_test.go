package group

// Kill ends the member as a kill -9 would: its connections are cut, nothing more is committed, and it does not leave.
func (g *Group) Kill() {
	g.mu.Lock()
	r := g.running
	g.mu.Unlock()
	if r != nil {
		r.client.Cut()
		r.look.Cut()
	}
}
