package el_beam;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Records of one partition, in the order of their offsets.
 *
 * <p>As bytes, big-endian: the partition (int), the number of records (int), the length of the
 * topic's name (int); the name in UTF-8; all offsets (long); all timestamps (long); all lengths of
 * values (int); all values. They are columns because Python opens each in one call:
 * transforms/read/kafka_batch.py. A record without a value has one of no bytes.
 */
final class PartitionBatch {
  private static final byte[] NOTHING = new byte[0];

  private final int partition;
  private final byte[] topic;
  private final List<long[]> places = new ArrayList<>(); // offset, timestamp
  private final List<byte[]> values = new ArrayList<>();
  private int size;

  PartitionBatch(String topic, int partition) {
    this.partition = partition;
    this.topic = topic.getBytes(StandardCharsets.UTF_8);
  }

  void add(long offset, long timestamp, byte[] value) {
    byte[] bytes = value == null ? NOTHING : value;
    places.add(new long[] {offset, timestamp});
    values.add(bytes);
    size += bytes.length;
  }

  int count() {
    return values.size();
  }

  /** Of all values, in bytes. */
  int size() {
    return size;
  }

  byte[] encoded() {
    int count = count();
    ByteBuffer all = ByteBuffer.allocate(12 + topic.length + count * 20 + size);
    all.putInt(partition).putInt(count).putInt(topic.length).put(topic);
    places.forEach(place -> all.putLong(place[0]));
    places.forEach(place -> all.putLong(place[1]));
    values.forEach(value -> all.putInt(value.length));
    values.forEach(all::put);
    return all.array();
  }
}
