// The peer that a good Go engineer writes in a day: net/http and franz-go, idempotent, acks=all, 202 after the brokers' ack; what was
// written is read back, deduplicated by event_id in memory and counted by ad. It keeps nothing on disk and answers no queries.
package main

import (
	"context"
	"encoding/json"
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
	count := flag.Bool("count", true, "read back, deduplicate and count")
	flag.Parse()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(*brokers, ",")...), kgo.DefaultProduceTopic(*topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(*linger), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.RecordDeliveryTimeout(5*time.Second), kgo.MaxBufferedRecords(100000))
	if err != nil {
		log.Fatal(err)
	}
	if *count {
		go countClicks(strings.Split(*brokers, ","), *topic)
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

type counts struct{ clicks, duplicates, playTimeSecs, watchedPercent int64 }

// countClicks reads the topic from its beginning, for ever.
func countClicks(brokers []string, topic string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		log.Fatal(err)
	}
	first, ads := map[string]int64{}, map[int64]*counts{} // event_id to its ad
	for {
		fetched := client.PollFetches(context.Background())
		fetched.EachError(func(_ string, partition int32, err error) { log.Printf("partition %d: %v", partition, err) })
		fetched.EachRecord(func(record *kgo.Record) {
			var c click.Click
			if json.Unmarshal(record.Value, &c) != nil {
				return
			}
			of, seen := first[c.EventID]
			if !seen {
				of = c.AdID
				first[c.EventID] = of
			}
			sum := ads[of]
			if sum == nil {
				sum = &counts{}
				ads[of] = sum
			}
			if seen {
				sum.duplicates++
				return
			}
			sum.clicks++
			if c.PlayTimeSecs != nil {
				sum.playTimeSecs += *c.PlayTimeSecs
			}
			if c.WatchedPercent != nil {
				sum.watchedPercent += *c.WatchedPercent
			}
		})
	}
}
