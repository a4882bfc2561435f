// The peer that one would write in an afternoon: net/http, the event checked, one file, all that arrived meanwhile committed
// with one fdatasync, 202 afterwards. It does not deduplicate, count or answer queries.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
)

const maxBody = 64 << 10

type click struct {
	EventID        string `json:"event_id"`
	AdID           int64  `json:"ad_id"`
	UserIP         string `json:"user_ip"`
	Agent          string `json:"agent"`
	PlayTimeSecs   *int64 `json:"play_time_secs,omitempty"`
	WatchedPercent *int64 `json:"watched_percent,omitempty"`
	Timestamp      int64  `json:"timestamp"`
}

// check applies the rules that a click has and masks its address.
func (c *click) check(now int64) error {
	if len(c.EventID) < 1 || len(c.EventID) > 128 {
		return errors.New("event_id must have 1 to 128 characters")
	}
	for i := 0; i < len(c.EventID); i++ {
		if c.EventID[i] < 0x21 || c.EventID[i] > 0x7e {
			return errors.New("event_id must be printable")
		}
	}
	if c.AdID < 1 || c.AdID >= 1<<53 {
		return errors.New("ad_id is out of range")
	}
	if len(c.Agent) > 1024 {
		return errors.New("agent is too long")
	}
	if c.PlayTimeSecs != nil && (*c.PlayTimeSecs < 0 || *c.PlayTimeSecs > 86400) {
		return errors.New("play_time_secs is out of range")
	}
	if c.WatchedPercent != nil && (*c.WatchedPercent < 0 || *c.WatchedPercent > 100) {
		return errors.New("watched_percent is out of range")
	}
	if c.Timestamp == 0 {
		c.Timestamp = now
	}
	if c.Timestamp < 0 || c.Timestamp > now+300 {
		return errors.New("timestamp is out of range")
	}
	if c.UserIP != "" {
		address, err := netip.ParseAddr(c.UserIP)
		if err != nil {
			return errors.New("user_ip is not an address")
		}
		bits := 48
		if address = address.Unmap(); address.Is4() {
			bits = 24
		}
		prefix, err := address.Prefix(bits)
		if err != nil {
			return err
		}
		c.UserIP = prefix.Addr().String()
	}
	return nil
}

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
	port := flag.Int("port", 0, "port on 127.0.0.1, 0 picks one")
	path := flag.String("file", "events.log", "the log")
	flag.Parse()
	file, err := os.OpenFile(*path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	queue := make(chan *pending, 100000)
	go commit(file, queue)

	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/ads/click", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		var c click
		if err = json.Unmarshal(body, &c); err == nil {
			err = c.check(time.Now().Unix())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		record, err := json.Marshal(&c)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		waiting := &pending{record: append(record, '\n'), done: make(chan struct{})}
		queue <- waiting
		<-waiting.done
		if waiting.failed != nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, waiting.failed.Error(), http.StatusServiceUnavailable)
			return
		}
		answer, err := json.Marshal(map[string]string{"status": "accepted", "event_id": c.EventID, "position": "0:" + strconv.FormatInt(waiting.offset, 10), "durability": "log"})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		if _, err = w.Write(answer); err != nil {
			return // the client is gone
		}
	})
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("ready %d\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, mux))
}
