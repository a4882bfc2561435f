// Package click is what both peers share: the route, the rules that a click has, the masked record, and the answers.
package click

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
	"time"
)

const maxBody = 64 << 10

// Click is what a client sends.
type Click struct {
	EventID        string `json:"event_id"`
	AdID           int64  `json:"ad_id"`
	UserIP         string `json:"user_ip"`
	Agent          string `json:"agent"`
	PlayTimeSecs   *int64 `json:"play_time_secs,omitempty"`
	WatchedPercent *int64 `json:"watched_percent,omitempty"`
	Timestamp      int64  `json:"timestamp"`
}

// check applies the rules that a click has and masks its address.
func (c *Click) check(now int64) error {
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

// Store makes the record durable and says where it stands.
type Store func(r *http.Request, c *Click, record []byte) (position string, err error)

var port = flag.Int("port", 0, "port on 127.0.0.1, 0 picks one")

// Serve answers clicks once store has them, and says "ready PORT" on standard output. It does not return.
func Serve(store Store) {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/ads/click", func(w http.ResponseWriter, r *http.Request) { answer(w, r, store) })
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("ready %d\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, mux))
}

func answer(w http.ResponseWriter, r *http.Request, store Store) {
	if r.Method != http.MethodPost {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	var c Click
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
	position, err := store(r, &c, record)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	said, err := json.Marshal(map[string]string{"status": "accepted", "event_id": c.EventID, "position": position, "durability": "log"})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	if _, err = w.Write(said); err != nil {
		return // the client is gone
	}
}
