package el_beam;

import java.net.InetAddress;
import java.util.Arrays;
import org.apache.beam.sdk.expansion.service.ExpansionServer;
import org.apache.beam.sdk.expansion.service.ExpansionService;
import org.apache.beam.sdk.expansion.service.ExpansionServiceOptions;
import org.apache.beam.sdk.options.PipelineOptionsFactory;

/**
 * Beam's expansion service, on loopback alone. Its own main class listens on every address of the
 * machine, and gives whoever asks any file of it.
 */
public final class KafkaExpansion {
  /** Serves until it is killed. Arguments: the port, then Beam's options. */
  public static void main(String[] arguments) throws Exception {
    PipelineOptionsFactory.register(ExpansionServiceOptions.class);
    String[] options = Arrays.copyOfRange(arguments, 1, arguments.length);
    ExpansionServer.create(
        new ExpansionService(options),
        InetAddress.getLoopbackAddress().getHostAddress(),
        Integer.parseInt(arguments[0]));
    Thread.currentThread().join();
  }
}
