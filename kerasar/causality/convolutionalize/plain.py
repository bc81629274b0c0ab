from kerasar.causality.convolutionalize.network import Network
PlainNetwork = Network
