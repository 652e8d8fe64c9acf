"""The tree of exceptions: every class of the field by name, with the classes it derives from.

`TREE` is behaviour.md 22, by machine: parent to ``child +another base``. ``DltException`` is our `HeadraceException`.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
from functools import lru_cache
from typing import Any

import pytest

import headrace
import headrace.errors
from headrace.errors.base import HeadraceException, TerminalException, TransientException

TREE = {
    "DltException": (
        "ConfigurationException+TerminalException ContainerException DataWriterException DestinationException "
        "ArgumentsOverloadException CannotInstallDependencies DependencyVersionException "
        "DictValidationException MissingDependencyException+ImportError PipelineException "
        "SystemConfigurationException UnsupportedProcessStartMethodException VenvNotFound "
        "PyToArrowConversionException UnsupportedArrowTypeException NormalizerException NormalizersException "
        "RuntimeException SchemaException StorageException DatasetException LineageFailedException "
        "DltSourceException ExtractorException PipeException DBTRunnerException NormalizeException "
        "PipelineIsRunning RESTClientException"
    ),
    "ConfigurationException": (
        "ConfigFieldMissingException+KeyError ConfigFieldMissingTypeHintException "
        "ConfigFieldTypeHintNotSupported ConfigFileNotFoundException ConfigProviderException "
        "ConfigurationValueError+ValueError ConfigurationWrongTypeException FinalConfigFieldException "
        "InvalidNativeValue UnmatchedConfigHintResolversException ValueNotSecretException "
        "ObjectStoreRsCredentialsException SpecException UnsupportedAuthenticationMethodException"
    ),
    "ConfigProviderException": "DuplicateConfigProviderException TomlProviderReadException",
    "ConfigurationValueError": "ConfigValueCannotBeCoercedException",
    "SpecException": "NativeValueError+ValueError OAuth2ScopesRequired",
    "NativeValueError": (
        "InvalidBoto3Session InvalidConnectionString InvalidGoogleNativeCredentialsType "
        "InvalidGoogleOauth2Json InvalidGoogleServicesJson MotherDuckCatalogMissing"
    ),
    "ContainerException": "ContainerInjectableContextMangled ContextDefaultCannotBeCreated+KeyError",
    "DataWriterException": (
        "BufferedDataWriterClosed DataWriterNotFound DestinationCapabilitiesRequired+ValueError "
        "FileImportNotFound+FileNotFoundError InvalidDataItem InvalidFileNameTemplateException+ValueError"
    ),
    "DataWriterNotFound": "FileFormatForItemFormatNotFound FileSpecNotFound+KeyError SpecLookupFailed",
    "DestinationException": (
        "DestinationCapabilitiesException DestinationTerminalException+TerminalException "
        "DestinationTransientException+TransientException InvalidDestinationReference "
        "UnknownDestinationModule+ReferenceImportError+KeyError DatabaseException "
        "UnknownCustomDestinationCallable+ReferenceImportError+KeyError WeaviateBatchError"
    ),
    "DestinationCapabilitiesException": "WriteDispositionNotSupported",
    "DestinationTerminalException": (
        "DatasetNotAvailable DestinationHasFailedJobs DestinationIncompatibleLoaderFileFormatException "
        "DestinationInvalidFileFormat DestinationLoadingViaStagingNotSupported "
        "DestinationLoadingWithoutStagingNotSupported DestinationNoStagingMode DestinationSchemaTampered "
        "DestinationUndefinedEntity FSClientNotAvailable IdentifierTooLongException "
        "OpenTableCatalogNotSupported OpenTableClientNotAvailable OpenTableFormatNotSupported "
        "SqlClientNotAvailable TableFormatNotSupported UnsupportedDataType CantExtractTablePrefix "
        "DatabaseTerminalException+DatabaseException DestinationSchemaWillNotUpdate InvalidFilesystemLayout "
        "LoadJobFileTooBig LoadJobInvalidStateTransitionException LoadJobNotExistsException "
        "LoadJobTerminalException MergeDispositionException IcebergViewException "
        "InvalidInMemoryDuckdbCredentials LanceEmbeddingsConfigurationMissing "
        "MotherduckLocalVersionNotSupported InvalidInMemoryQdrantCredentials PropertyNameConflict "
        "LoadClientJobFailed+LoadClientJobException LoadClientUnsupportedFileFormats "
        "LoadClientUnsupportedWriteDisposition"
    ),
    "DestinationUndefinedEntity": "DatabaseUndefinedRelation+DatabaseException",
    "DestinationTransientException": (
        "DatabaseTransientException+DatabaseException DestinationConnectionError InvalidPlaceholderCallback "
        "LoadClientNotConnected SqlJobCreationException FollowupJobCreationFailedException "
        "LoadClientJobRetry+LoadClientJobException TableChainFollowupJobCreationFailedException"
    ),
    "DatabaseException": (
        "DatabaseTerminalException+DestinationTerminalException "
        "DatabaseTransientException+DestinationTransientException "
        "DatabaseUndefinedRelation+DestinationUndefinedEntity"
    ),
    "PipelineException": (
        "PipelineStateNotAvailable ResourceNameNotAvailable SourceSectionNotAvailable "
        "CannotRestorePipelineException InvalidPipelineName+ValueError PipelineConfigMissing "
        "PipelineHasPendingDataException PipelineNeverRan PipelineNotActive "
        "PipelineStateEngineNoUpgradePathException PipelineStepFailed"
    ),
    "NormalizerException": "InvalidJsonNormalizer",
    "NormalizersException": "InvalidNamingType NamingTypeNotFound+ImportError UnknownNamingModule+ImportError",
    "RuntimeException": "RunContextNotAvailable",
    "SchemaException": (
        "CannotCoerceColumnException CannotCoerceNullException ColumnNameConflictException "
        "DataValidationError IncompatibleSchemaException InvalidSchemaName+ValueError "
        "ParentTableNotFoundException SchemaCorruptedException SchemaEngineNoUpgradePathException "
        "TableIdentifiersFrozen TableNotFound+KeyError TablePropertiesConflictException "
        "UnboundColumnException UnboundColumnWithoutTypeException"
    ),
    "SchemaCorruptedException": "SchemaIdentifierNormalizationCollision",
    "StorageException": (
        "CurrentLoadPackageStateNotAvailable LoadStorageException NoMigrationPathException "
        "SchemaStorageException StorageMigrationError UnsupportedStorageVersionException "
        "WrongStorageVersionException"
    ),
    "LoadStorageException": (
        "JobFileFormatUnsupported+TerminalValueError LoadPackageAlreadyCompleted LoadPackageCancelled "
        "LoadPackageNotCompleted LoadPackageNotFound+FileNotFoundError"
    ),
    "SchemaStorageException": (
        "InStorageSchemaModified SchemaNotFoundError+FileNotFoundError+KeyError UnexpectedSchemaName+ValueError"
    ),
    "DatasetException": "RelationHasQueryException RelationUnknownColumnException",
    "DltSourceException": (
        "CurrentSourceNotAvailable CurrentSourceSchemaNotAvailable DltResourceException "
        "ExplicitSourceNameInvalid InconsistentTableTemplate InvalidSourceReference ResourcesNotFoundError "
        "SourceDataIsNone SourceExhausted SourceIsAClassTypeError SourceNotAFunction "
        "UnknownSourceReference+ReferenceImportError+KeyError"
    ),
    "DltResourceException": (
        "DataItemRequiredForDynamicTableHints DeletingResourcesNotSupported IncrementalUnboundError "
        "InvalidParentResourceIsAFunction InvalidResourceDataType InvalidTransformerGeneratorFunction "
        "ParametrizedResourceUnbound ResourceNameMissing ResourceNotATransformer "
        "ResourceNotFoundError+KeyError"
    ),
    "InvalidResourceDataType": (
        "InvalidParallelResourceDataType InvalidParentResourceDataType InvalidResourceDataTypeBasic "
        "InvalidResourceDataTypeIsNone InvalidResourceDataTypeMultiplePipes InvalidResourceReturnsResource "
        "InvalidTransformerDataTypeGeneratorFunctionRequired ResourceFunctionExpected"
    ),
    "PipeException": (
        "CreatePipeException InvalidStepFunctionArguments PipeGenInvalid PipeItemProcessingError "
        "PipeNotBoundToData ResourceExtractionError UnclosablePipe ExternalSchedulerNotAvailable "
        "IncrementalCursorInvalidCoercion IncrementalCursorPathHasValueNone IncrementalCursorPathMissing "
        "IncrementalPrimaryKeyMissing JoinSchedulerError"
    ),
    "DBTRunnerException": "DBTProcessingError IncrementalSchemaOutOfSyncError PrerequisitesException",
    "NormalizeException": "NormalizeJobFailed+WithJobError",
    "RESTClientException": "IgnoreResponseException PaginatorNotFound PaginatorSetupError+ValueError",
}

TO_COME = {
    "DBTProcessingError",
    "DBTRunnerException",
    "IcebergViewException",
    "IgnoreResponseException",
    "IncrementalSchemaOutOfSyncError",
    "InvalidInMemoryQdrantCredentials",
    "LanceEmbeddingsConfigurationMissing",
    "MotherDuckCatalogMissing",
    "MotherduckLocalVersionNotSupported",
    "PaginatorNotFound",
    "PaginatorSetupError",
    "PrerequisitesException",
    "PropertyNameConflict",
    "RESTClientException",
    "WeaviateBatchError",
}
"""Of parts that headrace does not have yet: dbt, vector stores, the REST client, more destinations."""

NOT_HERE = {
    # there is one way to write each format, chosen before a writer is made
    "BufferedDataWriterClosed",
    "DataWriterNotFound",
    "DestinationCapabilitiesRequired",
    "FileFormatForItemFormatNotFound",
    "FileSpecNotFound",
    "InvalidFileNameTemplateException",
    "SpecLookupFailed",
    # jobs are planned beforehand and are values: none follows from another, or changes its state
    "FollowupJobCreationFailedException",
    "LoadJobInvalidStateTransitionException",
    "LoadJobNotExistsException",
    "LoadJobTerminalException",
    "SqlJobCreationException",
    "TableChainFollowupJobCreationFailedException",
    # no venvs are made, no process pools are used, a run context is always there
    "CannotInstallDependencies",
    "DependencyVersionException",
    "DictValidationException",
    "PipelineIsRunning",
    "PyToArrowConversionException",
    "RunContextNotAvailable",
    "RuntimeException",
    "SystemConfigurationException",
    "UnsupportedProcessStartMethodException",
    "VenvNotFound",
}


@lru_cache
def known() -> dict[str, type[BaseException]]:
    """Every exception class of headrace by name."""
    found: dict[str, type[BaseException]] = {"DltException": HeadraceException}
    for module in pkgutil.walk_packages(headrace.__path__, "headrace."):
        if not module.name.startswith(("headrace.errors", "headrace.destinations", "headrace.normalize")):
            continue
        try:
            names = vars(importlib.import_module(module.name))
        except ImportError:
            continue
        for name, value in names.items():
            if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__.startswith("headrace"):
                found.setdefault(name, value)
    return found


def expected() -> list[tuple[str, tuple[str, ...]]]:
    """Each class of the tree with its bases."""
    bases: dict[str, list[str]] = {}
    for parent, children in TREE.items():
        for child in children.split():
            name, *others = child.split("+")
            bases.setdefault(name, []).extend([parent, *others])
    return [(name, tuple(dict.fromkeys(found))) for name, found in sorted(bases.items())]


@pytest.mark.parametrize(("name", "bases"), expected())
def test_the_tree(name: str, bases: tuple[str, ...]) -> None:
    if name in TO_COME | NOT_HERE:
        assert name not in known(), f"{name} is there: take it off the list"
        return
    names = {cls.__name__ for cls in known()[name].__mro__} | {"DltException"}
    assert set(bases) <= names, f"{name} lacks {set(bases) - names}"


def made(cls: type[BaseException]) -> BaseException | None:
    """An exception with arguments of any kind; None for those that want more than words and numbers."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    given: list[Any] = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        told = str(parameter.annotation)
        if parameter.name == "signal_code" or told in ("int", "float"):
            given.append(3)
        elif "Exception" in told:
            given.append(ValueError("v"))
        elif told.startswith(("Sequence", "Iterable", "list", "tuple", "Collection", "set")):
            given.append(["a"])
        elif told.startswith(("dict", "Mapping")):
            given.append({"a": "b"})
        else:
            given.append("x")
    try:
        return cls(*given)
    except (TypeError, AttributeError, ValueError, KeyError):
        return None


def test_all_of_ours_can_be_pickled() -> None:
    """They go to other processes and come back with their facts."""
    seen = 0
    for name, cls in known().items():
        error = made(cls) if issubclass(cls, HeadraceException) else None
        if error is None:
            continue
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is type(error) and str(back) == str(error), name
        assert set(back.attrs()) == set(error.attrs()), name  # type: ignore[attr-defined]
        seen += 1
    assert seen > 150


def test_none_is_terminal_and_transient() -> None:
    both = [
        n for n, cls in known().items() if issubclass(cls, TerminalException) and issubclass(cls, TransientException)
    ]
    assert both == []


def test_mixins_are_caught_with_their_exceptions() -> None:
    """`except Exception` and `except TerminalException` both see them."""
    from headrace.errors.config import ConfigFieldMissingException
    from headrace.errors.load import LoadClientJobFailed

    assert issubclass(ConfigFieldMissingException, (Exception, TerminalException))
    assert issubclass(LoadClientJobFailed, Exception) and issubclass(LoadClientJobFailed, TerminalException)
    assert not issubclass(TerminalException, Exception)


def test_all_are_told_apart_by_their_docs() -> None:
    assert [name for name, cls in known().items() if not (cls.__doc__ or "").strip()] == []
