package session

import "strconv"

// Pos is a message's position in the archive: which log and which place in it,
// as one number (the log in the upper bits), so that positions of one log
// compare as numbers. It is the order for every recipient. Zero is no position.
type Pos uint64

// logShift leaves 2^43 messages per log and 2^20 logs in a signed 64-bit column.
const logShift = 43

// At makes the position of a sequence number in a log.
func At(log uint32, seq uint64) Pos { return Pos(uint64(log)<<logShift | seq) }

// Log is the log the position belongs to.
func (p Pos) Log() uint32 { return uint32(p >> logShift) }

// Seq is the place in the log, from 1.
func (p Pos) Seq() uint64 { return uint64(p) & (1<<logShift - 1) }

// String is the archive id clients see (XEP-0313 §4.1, XEP-0359 §3).
func (p Pos) String() string { return strconv.FormatUint(uint64(p), 10) }

// ParsePos reads an archive id; ok is false for anything String never writes.
func ParsePos(s string) (p Pos, ok bool) {
	if s == "" || s[0] == '0' || s[0] == '+' || len(s) > 19 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 63)
	return Pos(n), err == nil
}
