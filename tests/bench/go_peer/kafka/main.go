// The peer that a good Go engineer writes in a day: net/http and franz-go, idempotent, acks=all, 202 after the brokers' ack. It does
// not deduplicate, count or answer queries.
package main

import (
	"flag"
	"log"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"go_peer/click"
)

func main() {
	brokers := flag.String("brokers", "127.0.0.1:9092", "with commas")
	topic := flag.String("topic", "go-peer", "must exist")
	linger := flag.Duration("linger", time.Millisecond, "as adtrackd's kafka.linger_ms")
	flag.Parse()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(*brokers, ",")...), kgo.DefaultProduceTopic(*topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(*linger), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.RecordDeliveryTimeout(5*time.Second), kgo.MaxBufferedRecords(100000))
	if err != nil {
		log.Fatal(err)
	}
	click.Serve(func(r *http.Request, c *click.Click, record []byte) (string, error) {
		type ack struct {
			record *kgo.Record
			err    error
		}
		acked := make(chan ack, 1)
		client.Produce(r.Context(), &kgo.Record{Key: strconv.AppendInt(nil, c.AdID, 10), Value: record},
			func(done *kgo.Record, err error) { acked <- ack{done, err} })
		got := <-acked
		if got.err != nil {
			return "", got.err
		}
		return strconv.Itoa(int(got.record.Partition)) + ":" + strconv.FormatInt(got.record.Offset, 10), nil
	})
}
