package server

import (
	"context"
	"strings"
	"time"
)

// Again waits until a server that restarts within its process has begun to
// listen for the n-th time, and takes its addresses, which may be others.
func (s *Server) Again(n int, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return s.wait(ctx, func() bool {
		times := 0
		for line := range strings.Lines(s.out.String()) {
			f := strings.Fields(line)
			if len(f) < 3 || f[0] != "listening" {
				continue
			}
			switch f[1] {
			case "c2s":
				s.C2S = f[2]
			case "c2s-tls":
				s.C2STLS = f[2]
			case "http":
				s.HTTP, s.WebSocket = f[2], "wss://"+f[2]+"/ws"
				times++
			}
		}
		return times >= n && accepts(s.C2S) && accepts(s.HTTP)
	})
}
