// Package room is multi-user chat: rooms, who is in them, who may do what.
//
// Specifications: XEP-0045, XEP-0249 (which needs no server), XEP-0313 §6.1.2
// (a room's archive), XEP-0410 (self-ping), XEP-0421 (occupant ids), XEP-0424 and
// XEP-0425 (retraction, moderation), XEP-0433 (search), XEP-0486 (avatars),
// XEP-0500 (slow mode).
//
// # A room
//
// A room's configuration, affiliations, reserved nicknames and subject are in
// the data set; what was said is in the archive, whose owner is the room's
// address. In memory a room is read when it is first needed, and thrown out
// when nobody is in it and there are many. Occupants exist in memory only.
//
// # A message
//
// Plan says under the room's lock what becomes of it (who speaks, as whom); im/deliver
// commits it as one record; Fanout then gives it to who is in the room by
// that time, under the same lock, in the log's order, encoded once. So who was
// banned before gets nothing, and who entered has not missed it: the history he
// was given (past.go) ends where what is handed out goes on.
//
// # Changes
//
// Rooms.change makes durable changes of a room one at a time: looked at under
// the lock, written without it, applied and told under it. Nobody on a message's
// way waits for one.
//
// # Tables
//
// It owns room, room_affiliation and room_secret.
//
// # Goroutines and locks
//
// Run sweeps temporary rooms, until its context ends; it starts nothing else.
// Locks, in this order: Rooms.mu (the map of rooms), room.mu (one room, held for
// pushes to session queues, never across I/O), seating.mu (which rooms a
// session is in), passing.mu. room.turn is a place in a line, not a lock: it is
// waited for with a context.
//
// im/deliver calls Presence, Unavailable, Plan, Fanout, IQ and Pass. It does not
// append to the archive (Submit does), judge, or know other servers.
package room
