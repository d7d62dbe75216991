package main

// What is fed to memberlist in the measurement, encoded as memberlist's own gossip and push/pull are.

import (
	"bytes"
	"compress/lzw"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

const updatesPerDatagram = 10

// First bytes of messages.
const (
	aliveMessage    = 4
	pushPullMessage = 6
	compoundMessage = 7
	compressMessage = 9
	encryptMessage  = 10
	crcMessage      = 12
)

// benchKey is a key for AES-128.
var benchKey = []byte("0123456789abcdef")

// form is how a message is wrapped.
type form string

const (
	plain      form = "plain"
	compressed form = "compressed"
	encrypted  form = "encrypted"
)

type alive struct {
	Incarnation uint32
	Node        string
	Addr        []byte
	Port        uint16
	Meta        []byte
	Vsn         []uint8
}

type pushPullHeader struct {
	Nodes        int
	UserStateLen int
	Join         bool
}

type pushNodeState struct {
	Name        string
	Addr        []byte
	Port        uint16
	Meta        []byte
	Incarnation uint32
	State       int
	Vsn         []uint8
}

type compressBody struct {
	Algo uint8
	Buf  []byte
}

var versions = []uint8{1, 5, 2, 0, 0, 0}

func benchName(index int) string { return fmt.Sprintf("member-%05d", index) }

func benchAddress(index int) []byte {
	return []byte{10, byte(index >> 16), byte(index >> 8), byte(index)}
}

func benchMeta(length int) []byte { return bytes.Repeat([]byte{'m'}, length) }

// encode appends a value in msgpack. Writing to a buffer cannot fail, nor can these types.
func encode(to *bytes.Buffer, value any) {
	if err := codec.NewEncoder(to, &codec.MsgpackHandle{}).Encode(value); err != nil {
		panic(err)
	}
}

// encodeDatagram is a compound of one alive message per chosen member.
func encodeDatagram(o *benchOptions, form form, chosen []int, incarnation uint32) []byte {
	parts := make([][]byte, len(chosen))
	for i, index := range chosen {
		var part bytes.Buffer
		part.WriteByte(aliveMessage)
		encode(&part, alive{incarnation, benchName(index), benchAddress(index), 7946, benchMeta(o.meta), versions})
		parts[i] = part.Bytes()
	}
	message := []byte{compoundMessage, byte(len(parts))}
	for _, part := range parts {
		message = binary.BigEndian.AppendUint16(message, uint16(len(part)))
	}
	for _, part := range parts {
		message = append(message, part...)
	}
	if form == compressed {
		message = squeeze(message)
	}
	if o.crc {
		head := binary.BigEndian.AppendUint32([]byte{crcMessage}, crc32.ChecksumIEEE(message))
		message = append(head, message...)
	}
	if form == encrypted {
		message = seal(nil, message, nil)
	}
	return message
}

// encodePushPull is a push/pull request, not for a join, that tells of all members.
func encodePushPull(form form, members int, incarnation uint32, meta int) []byte {
	var message bytes.Buffer
	message.WriteByte(pushPullMessage)
	encode(&message, pushPullHeader{Nodes: members})
	for index := range members {
		encode(&message, pushNodeState{Name: benchName(index), Addr: benchAddress(index), Port: 7946,
			Meta: benchMeta(meta), Incarnation: incarnation, Vsn: versions})
	}
	switch form {
	case compressed:
		return squeeze(message.Bytes())
	case encrypted:
		head := binary.BigEndian.AppendUint32([]byte{encryptMessage}, uint32(message.Len()+29))
		return seal(head, message.Bytes(), head)
	default:
		return message.Bytes()
	}
}

func squeeze(message []byte) []byte {
	var squeezed bytes.Buffer
	writer := lzw.NewWriter(&squeezed, lzw.LSB, 8)
	if _, err := writer.Write(message); err != nil {
		panic(err)
	}
	if err := writer.Close(); err != nil {
		panic(err)
	}
	var whole bytes.Buffer
	whole.WriteByte(compressMessage)
	encode(&whole, compressBody{0, squeezed.Bytes()})
	return whole.Bytes()
}

// seal appends the envelope of encryption version 1 to `to`: version, nonce, ciphertext and tag.
func seal(to, message, bound []byte) []byte {
	block, err := aes.NewCipher(benchKey)
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	nonce := make([]byte, gcm.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		panic(err)
	}
	sealed := append(append([]byte(nil), to...), 1)
	sealed = append(sealed, nonce...)
	return gcm.Seal(sealed, nonce, message, bound)
}
