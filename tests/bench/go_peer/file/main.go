// The peer that one would write in an afternoon: net/http, the event checked, one file, all that arrived meanwhile committed
// with one fdatasync, 202 afterwards. It does not deduplicate, count or answer queries.
package main

import (
	"flag"
	"log"
	"net/http"
	"os"
	"strconv"
	"syscall"

	"go_peer/click"
)

type pending struct {
	record []byte
	offset int64
	failed error
	done   chan struct{}
}

// commit writes everything that waits with one write and one fdatasync, then answers all of it.
func commit(file *os.File, queue <-chan *pending) {
	var offset int64
	var batch []*pending
	var buffer []byte
	for first := range queue {
		batch, buffer = append(batch[:0], first), append(buffer[:0], first.record...)
		for more := true; more && len(batch) < 10000; {
			select {
			case next := <-queue:
				batch, buffer = append(batch, next), append(buffer, next.record...)
			default:
				more = false
			}
		}
		_, err := file.Write(buffer)
		if err == nil {
			err = syscall.Fdatasync(int(file.Fd()))
		}
		for _, waiting := range batch {
			waiting.offset, waiting.failed = offset, err
			offset++
			close(waiting.done)
		}
	}
}

func main() {
	path := flag.String("file", "events.log", "the log")
	flag.Parse()
	file, err := os.OpenFile(*path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	queue := make(chan *pending, 100000)
	go commit(file, queue)
	click.Serve(func(_ *http.Request, _ *click.Click, record []byte) (string, error) {
		waiting := &pending{record: append(record, '\n'), done: make(chan struct{})}
		queue <- waiting
		<-waiting.done
		return "0:" + strconv.FormatInt(waiting.offset, 10), waiting.failed
	})
}
