package main

// A user message of Swimring that carries an event: "SWR" 0x01, then its origin (8 bytes) and sequence (4 bytes), both
// little-endian, the length of the name (1 byte), the name, and the payload.

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

var frameMagic = []byte("SWR\x01")

const frameHeaderLen = 4 + 8 + 4 + 1

type frame struct {
	origin   uint64
	sequence uint32
	name     []byte
	payload  []byte
}

// parseFrame says what event a message carries, if it is one of Swimring's.
func parseFrame(message []byte) (frame, bool) {
	if len(message) < frameHeaderLen || !bytes.HasPrefix(message, frameMagic) {
		return frame{}, false
	}
	nameEnd := frameHeaderLen + int(message[16])
	if len(message) < nameEnd {
		return frame{}, false
	}
	return frame{
		origin:   binary.LittleEndian.Uint64(message[4:]),
		sequence: binary.LittleEndian.Uint32(message[12:]),
		name:     message[frameHeaderLen:nameEnd],
		payload:  message[nameEnd:],
	}, true
}

func (f frame) encode() ([]byte, error) {
	if len(f.name) > 255 {
		return nil, fmt.Errorf("an event's name has at most 255 bytes, not %d", len(f.name))
	}
	message := append([]byte(nil), frameMagic...)
	message = binary.LittleEndian.AppendUint64(message, f.origin)
	message = binary.LittleEndian.AppendUint32(message, f.sequence)
	message = append(message, byte(len(f.name)))
	message = append(message, f.name...)
	return append(message, f.payload...), nil
}
