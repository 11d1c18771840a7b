package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/parlance-im/parlance/im/session"
)

// Seal commits to a record's content: SHA-256 over a version, the salt and the
// fields, each with its length in front. Who has salt and stanza can check it;
// who has not learns nothing from it, even about a short message.
func Seal(salt []byte, at int64, sender, recipient string, stanza []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte("parlance-seal-1"))
	field(h, salt)
	number(h, uint64(at))
	field(h, []byte(sender))
	field(h, []byte(recipient))
	field(h, stanza)
	return [32]byte(h.Sum(nil))
}

// Leaf is what the audit log holds for a record: its position, its
// conversation, its place there, and its seal. It can be made again after the
// content was erased, and a missing place in a conversation shows.
func Leaf(pos session.Pos, conversation string, convSeq int64, state int64, seal [32]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte("parlance-leaf-1"))
	number(h, uint64(pos))
	field(h, []byte(conversation))
	number(h, uint64(convSeq))
	number(h, uint64(state))
	h.Write(seal[:])
	return [32]byte(h.Sum(nil))
}

func number(h hash.Hash, n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	h.Write(b[:])
}

func field(h hash.Hash, b []byte) {
	number(h, uint64(len(b)))
	h.Write(b)
}
