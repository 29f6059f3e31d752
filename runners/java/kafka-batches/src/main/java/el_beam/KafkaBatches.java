package el_beam;

import java.util.List;
import java.util.Map;
import org.apache.beam.sdk.coders.ByteArrayCoder;
import org.apache.beam.sdk.coders.NullableCoder;
import org.apache.beam.sdk.expansion.ExternalTransformRegistrar;
import org.apache.beam.sdk.io.kafka.KafkaIO;
import org.apache.beam.sdk.transforms.ExternalTransformBuilder;
import org.apache.beam.sdk.transforms.PTransform;
import org.apache.beam.sdk.transforms.ParDo;
import org.apache.beam.sdk.values.PBegin;
import org.apache.beam.sdk.values.PCollection;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * KafkaIO's records, many to an element: to hand one over to Python costs more than what Python
 * does with it.
 */
public final class KafkaBatches implements ExternalTransformRegistrar {
  /** The version is that of what Python says of the read, and of {@link PartitionBatch}. */
  static final String URN = "el_beam:transform:kafka_batches:v1";

  private static final NullableCoder<byte[]> BYTES = NullableCoder.of(ByteArrayCoder.of());

  @Override
  public Map<String, ExternalTransformBuilder<?, ?, ?>> knownBuilderInstances() {
    return Map.of(URN, new Builder());
  }

  /** What Python says of the read. */
  public static final class Configuration {
    private Map<String, String> consumer;
    private List<String> topics;

    public void setConsumer(Map<String, String> consumer) {
      this.consumer = consumer;
    }

    public void setTopics(List<String> topics) {
      this.topics = topics;
    }
  }

  private static final class Builder
      implements ExternalTransformBuilder<Configuration, PBegin, PCollection<byte[]>> {
    @Override
    public PTransform<PBegin, PCollection<byte[]>> buildExternal(Configuration asked) {
      return new Read(
          KafkaIO.<byte[], byte[]>read()
              .withBootstrapServers(asked.consumer.get("bootstrap.servers"))
              .withConsumerConfigUpdates(Map.copyOf(asked.consumer))
              .withTopics(asked.topics)
              .withKeyDeserializerAndCoder(ByteArrayDeserializer.class, BYTES)
              .withValueDeserializerAndCoder(ByteArrayDeserializer.class, BYTES)
              .withProcessingTime()
              .commitOffsetsInFinalize());
    }
  }

  private static final class Read extends PTransform<PBegin, PCollection<byte[]>> {
    private final KafkaIO.Read<byte[], byte[]> records;

    Read(KafkaIO.Read<byte[], byte[]> records) {
      this.records = records;
    }

    @Override
    public PCollection<byte[]> expand(PBegin begin) {
      return begin
          .apply("Records", records)
          .apply("Batches", ParDo.of(new BatchFn()))
          .setCoder(ByteArrayCoder.of());
    }
  }
}
