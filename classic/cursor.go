package classic

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// log is what one connection has to hear and has heard: messages wait, are sent, and are kept for a while in case the client
// comes back with an older cursor. Messages are numbered in the order in which they are first sent. Answers to calls go out
// between the messages, unnumbered, to the stream that asked, and are not kept. The connection guards it.
type log struct {
	kept  []sentMessage
	first uint64 // number of kept[0]
	back  int    // kept[back:] is to be sent again
	size  int    // bytes kept

	waiting []waitingItem
	bytes   int // that wait

	dropped uint64 // messages that nobody can ask for any more and that were never sent, or may be missed by a cursor
}

type sentMessage struct {
	b  []byte
	at uint32 // when, in seconds as Unix counts them
}

type waitingItem struct {
	b      []byte
	stream uint64 // an answer for the stream with that number; 0 is a message
}

// keptBytes bounds what is kept of sent messages.
const keptBytes = 1 << 20

func (l *log) push(b []byte, stream uint64) {
	l.waiting = append(l.waiting, waitingItem{b, stream})
	l.bytes += len(b)
}

// dropWaiting drops the oldest waiting messages until the rest is within limit.
func (l *log) dropWaiting(limit int) {
	n := 0
	for n < len(l.waiting)-1 && l.bytes > limit {
		l.bytes -= len(l.waiting[n].b)
		n++
	}
	clear(l.waiting[:n])
	l.waiting = l.waiting[n:]
	l.dropped += uint64(n)
}

// shift takes the first waiting item off.
func (l *log) shift() waitingItem {
	it := l.waiting[0]
	l.waiting[0] = waitingItem{}
	l.waiting = l.waiting[1:]
	l.bytes -= len(it.b)
	if len(l.waiting) == 0 {
		l.waiting = nil // an idle connection keeps no memory of a burst
	}
	return it
}

// answer takes the first waiting item off if it is an answer for the stream; answers for streams that are gone vanish.
func (l *log) answer(stream uint64) ([]byte, bool) {
	if l.back < len(l.kept) {
		return nil, false
	}
	for len(l.waiting) > 0 && l.waiting[0].stream != 0 {
		if it := l.shift(); it.stream == stream {
			return it.b, true
		}
	}
	return nil, false
}

// messages counts what the next envelope carries: as many messages as have about max bytes together, at least one.
func (l *log) messages(max int) (n, size int) {
	for i := l.back; ; i++ {
		var b []byte
		switch w := i - len(l.kept); {
		case w < 0:
			b = l.kept[i].b
		case w < len(l.waiting) && l.waiting[w].stream == 0:
			b = l.waiting[w].b
		default:
			return n, size
		}
		if n > 0 && size+len(b) > max {
			return n, size
		}
		n++
		size += len(b)
	}
}

// appendMessages appends the next n messages with commas between them, and keeps them.
func (l *log) appendMessages(dst []byte, n int, now time.Time) []byte {
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if l.back == len(l.kept) {
			it := l.shift()
			l.kept = append(l.kept, sentMessage{it.b, uint32(now.Unix())})
			l.size += len(it.b)
		}
		dst = append(dst, l.kept[l.back].b...)
		l.back++
	}
	return dst
}

// next is the number of the first message that has not been said to this stream.
func (l *log) next() uint64 { return l.first + uint64(l.back) }

// forget drops kept messages that are more than the limits allow, or older than since; those to be sent again stay.
func (l *log) forget(number int, since time.Time) {
	n, oldest := 0, uint32(since.Unix())
	for n < l.back && (len(l.kept)-n > number || l.size > keptBytes || l.kept[n].at < oldest) {
		l.size -= len(l.kept[n].b)
		n++
	}
	l.cut(n)
}

// cut drops the first n kept messages.
func (l *log) cut(n int) {
	if n == 0 {
		return
	}
	clear(l.kept[:n])
	l.kept = l.kept[n:]
	l.first += uint64(n)
	l.back -= n
	if len(l.kept) == 0 {
		l.kept = nil
	}
}

// rewind makes the message with that number the next one to send. It returns how many are lost in between.
func (l *log) rewind(number uint64) (lost uint64) {
	if number < l.first {
		lost = l.first - number
		number = l.first
	}
	l.back = int(min(number-l.first, uint64(len(l.kept))))
	return lost
}

// acknowledge drops what the client has: everything before that number.
func (l *log) acknowledge(number uint64) {
	if number <= l.first {
		return
	}
	n := int(min(number-l.first, uint64(l.back)))
	for _, m := range l.kept[:n] {
		l.size -= len(m.b)
	}
	l.cut(n)
}

// newEpoch names the life of a connection in this process: a cursor of another one says nothing here.
func newEpoch() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// appendCursor appends the cursor behind which the message with that number comes. It needs no escapes in JSON.
func appendCursor(dst []byte, epoch string, number uint64) []byte {
	return strconv.AppendUint(append(append(append(dst, "d-"...), epoch...), '-'), number, 16)
}

// parseCursor returns the number in a cursor of the epoch. known is false for a cursor of another epoch, and of another server;
// ok is false for one that names the epoch and is broken.
func parseCursor(s, epoch string) (number uint64, known, ok bool) {
	rest, known := strings.CutPrefix(s, "d-"+epoch+"-")
	if !known {
		return 0, false, true
	}
	number, err := strconv.ParseUint(rest, 16, 64)
	return number, true, err == nil
}
