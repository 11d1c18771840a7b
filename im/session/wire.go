package session

import "github.com/parlance-im/parlance/xmpp/stream"

// Wire is the connection a session writes to at the moment. The edge meets it.
// Both calls come from any goroutine, must not block and must not call back
// into the session.
type Wire interface {
	// Wake says that the session has frames to take. The edge answers by
	// calling Take from a goroutine of its own, one at a time per wire.
	Wake()
	// Kick ends the connection with a stream error (RFC 6120 §4.9); nil closes
	// it politely. Frames not yet taken are not written.
	Kick(reason *stream.Error)
}
